"""`bali db`: the migrations of a service's databases."""
