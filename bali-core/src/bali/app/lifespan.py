"""The life of an app around work that is no server's: entered before it, left after it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any

from bali.concurrency import background_loop

__all__ = ["held_lifespan"]


@contextmanager
def held_lifespan(lifespan: AbstractAsyncContextManager[Any]) -> Iterator[None]:
    """Enter and leave a lifespan in one task of the loop that owns the work of this thread.

    Raises what entering or leaving raises.
    """
    started = threading.Event()
    loop = background_loop()
    over = asyncio.Event()

    async def hold() -> None:
        async with lifespan:
            started.set()
            await over.wait()

    holding = asyncio.run_coroutine_threadsafe(hold(), loop)
    holding.add_done_callback(lambda _: started.set())
    started.wait()
    try:
        if holding.done():
            holding.result()
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        holding.result()
