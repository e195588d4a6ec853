"""Waiting, in a test that blocks, for what another thread or process does."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

_SECONDS = 30.0


def until(condition: Callable[[], Any], what: str) -> None:
    """Wait for a condition."""
    end = time.monotonic() + _SECONDS
    while not condition():
        assert time.monotonic() < end, f"it never happened that {what}"
        time.sleep(0.02)
