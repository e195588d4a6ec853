"""The same service on other frameworks, as their guides have it; each runs in its own venv."""
