"""`bali check`: find what is wrong with the contract of a service before others do."""
