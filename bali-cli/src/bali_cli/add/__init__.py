"""`bali add`: the typed client of another service, from its contract."""
