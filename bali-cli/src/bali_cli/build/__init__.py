"""`bali build`: the contract and the modules that are made of it."""
