"""Plain FastAPI routes, beside those of the resources."""
