"""Descriptor pools of protobuf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["Pools"]


class Pools:
    """Several descriptor pools as one: the first that knows a name answers."""

    def __init__(self, pools: Sequence[Any]) -> None:
        self._pools = pools

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("Find"):
            raise AttributeError(name)

        def find(*arguments: Any) -> Any:
            for pool in self._pools[:-1]:
                try:
                    return getattr(pool, name)(*arguments)
                except KeyError:
                    continue
            return getattr(self._pools[-1], name)(*arguments)

        return find
