"""What an app does for its databases while it runs: it removes what was deleted long ago."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from bali.database import Database

__all__ = ["housekeeping"]

_log = logging.getLogger("bali.app")

_PAUSE_SECONDS = 3600.0


@asynccontextmanager
async def housekeeping(
    databases: Sequence[Database], *, pause_seconds: float = _PAUSE_SECONDS
) -> AsyncIterator[None]:
    """Keep the databases in order while the block runs: at once, and then once an hour."""
    soft = [database for database in databases if database.keeps_deleted]
    if not soft:
        yield
        return
    task = asyncio.create_task(_purge_again_and_again(soft, pause_seconds))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _purge_again_and_again(databases: Sequence[Database], pause_seconds: float) -> None:
    while True:
        for database in databases:
            try:
                count = await database.purge_deleted()
            except Exception:  # noqa: BLE001 - it is tried again
                _log.exception("deleted items that are due could not be removed")
            else:
                if count:
                    _log.info("removed %d deleted items for good", count)
        await asyncio.sleep(pause_seconds)
