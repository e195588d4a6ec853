"""Written by `bali add`; do not edit."""
