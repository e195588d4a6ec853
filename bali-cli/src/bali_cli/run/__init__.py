"""`bali run`: serve the main.py of the current directory."""

from __future__ import annotations

from bali_cli.run.service import load_app, run_service

__all__ = ["load_app", "run_service"]
