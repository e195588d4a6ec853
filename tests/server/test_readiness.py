from __future__ import annotations

import asyncio

from bali.server import Readiness


async def test_listeners_follow_changes_only() -> None:
    readiness = Readiness()
    plain: list[bool] = []
    awaited: list[bool] = []

    async def later(ready: bool) -> None:
        await asyncio.sleep(0)
        awaited.append(ready)

    unsubscribe = readiness.subscribe(plain.append)
    readiness.subscribe(later)
    readiness.change(ready=False)
    readiness.change(ready=True)
    readiness.change(ready=True)
    assert repr(readiness) == "<Readiness ready>"
    unsubscribe()
    unsubscribe()
    readiness.change(ready=False)
    await readiness.settled()
    assert plain == [True]
    assert awaited == [True, False]
    assert not readiness.is_ready
