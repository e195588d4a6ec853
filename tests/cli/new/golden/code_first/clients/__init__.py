"""Clients of other services, written by `bali add`."""
