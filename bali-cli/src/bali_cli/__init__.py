"""The `bali` command: development tools for services written with bali-core."""

from __future__ import annotations
