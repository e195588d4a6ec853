"""`bali run`: serve the main.py of the current directory."""
