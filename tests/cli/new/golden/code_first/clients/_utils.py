"""Connects the clients with `_config.py`. Written by `bali add`; do not edit."""

from __future__ import annotations

from bali.clients import ClientOptions

from . import _config

__all__ = ["options_for"]


def options_for(service: str) -> ClientOptions:
    """Return how to reach a service."""
    return ClientOptions.from_config(service, _config)
