"""`bali new`: a service that runs and passes its own tests, from a name."""
