"""`bali routes`: every operation of a service, and who may call it."""
