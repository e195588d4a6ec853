"""The services that are measured: bali's, one written by hand, and the limit."""
