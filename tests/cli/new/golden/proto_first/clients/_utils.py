"""What the clients share; written by `bali add`."""
