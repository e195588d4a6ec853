"""`bali shell`: a prompt with the service at hand."""
