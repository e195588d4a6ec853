"""Waiting for operations to end, with one query at a time however many calls wait."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging

from bali.operations.store import OperationStore

__all__ = ["Waiters"]

_log = logging.getLogger("bali.operations")


class Waiters:
    """The calls of one process that wait for operations, which any process may perform."""

    def __init__(self, store: OperationStore, poll_seconds: float) -> None:
        self._store = store
        self._poll_seconds = poll_seconds
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._poller: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether no call may wait."""
        return self._closing.is_set()

    async def wait(self, operation_id: str, seconds: float) -> None:
        """Return when an operation may be done, or after this time."""
        if self.is_closed:
            return
        event = asyncio.Event()
        self._waiting.setdefault(operation_id, set()).add(event)
        if self._poller is None or self._poller.done():
            # Not in the unit of work of the call that happens to come first.
            self._poller = asyncio.create_task(self._poll(), context=contextvars.Context())
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            return
        finally:
            events = self._waiting.get(operation_id, set())
            events.discard(event)
            if not events:
                self._waiting.pop(operation_id, None)

    def tell(self, operation_id: str) -> None:
        """Wake those who wait for an operation."""
        for event in self._waiting.get(operation_id, ()):
            event.set()

    def open(self) -> None:
        """Let calls wait (again)."""
        self._closing.clear()

    async def close(self) -> None:
        """Let every call go on, and none wait any more."""
        for operation_id in list(self._waiting):
            self.tell(operation_id)
        self._closing.set()
        if self._poller is not None:
            await asyncio.wait((self._poller,))

    async def _poll(self) -> None:
        while self._waiting and not self.is_closed:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._poll_seconds):
                    await self._closing.wait()
            waiting = list(self._waiting)
            try:
                unfinished = await self._store.unfinished(waiting)
            except Exception as error:  # noqa: BLE001 - the calls wait on until their time is over
                _log.warning("cannot look for operations that are done: %s", error)
                continue
            for operation_id in waiting:
                if operation_id not in unfinished:
                    self.tell(operation_id)
