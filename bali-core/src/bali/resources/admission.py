"""Letting in only as many calls as can be answered in time.

A service that accepts everything answers nothing once it is saturated: each call waits until its
caller has gone. So the first step of every call asks whether there is room, or will be before the
caller's deadline, and refuses at once otherwise, with a hint when to come again.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque

from bali.errors import ConfigurationError, DeadlineExceeded, Unavailable
from bali.resources.context import Context

__all__ = ["Admission"]

_SMOOTHING = 0.1


class Admission:
    """Room for `max_in_flight` calls at once and `max_waiting` that wait; for one event loop.

    Raises `ConfigurationError` when there would never be room.
    """

    def __init__(
        self, *, max_in_flight: int = 128, max_waiting: int = 512, retry_after_seconds: float = 1.0
    ) -> None:
        if max_in_flight < 1 or max_waiting < 0:
            raise ConfigurationError(
                f"max_in_flight={max_in_flight} and max_waiting={max_waiting} let nobody in; allow "
                "at least 1 call in flight and 0 that wait"
            )
        self.max_in_flight = max_in_flight
        self.max_waiting = max_waiting
        self.retry_after_seconds = retry_after_seconds
        self.in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._seconds_per_call = 0.0

    @property
    def waiting(self) -> int:
        """How many calls wait for room."""
        return len(self._waiting)

    def enter_at_once(self) -> float:
        """Take room when there is some that nobody waits for; return what `enter` does, else 0."""
        if self._waiting or self.in_flight >= self.max_in_flight:
            return 0.0
        self.in_flight += 1
        return time.monotonic()

    async def enter(self, context: Context) -> float:
        """Wait for room and take it; return the time of entry, for `leave`.

        Raises `DeadlineExceeded` when the caller's time is over, and `Unavailable` when there is
        no room to wait, or none that would be free before the deadline.
        """
        remaining = context.time_remaining_seconds
        if remaining is not None and remaining <= 0:
            raise DeadlineExceeded
        entered = self.enter_at_once()
        if not entered:
            await self._wait(remaining)
            entered = time.monotonic()
        return entered

    def leave(self, entered: float) -> None:
        """Give the room back; the call that has waited longest gets it."""
        spent = time.monotonic() - entered
        self._seconds_per_call += _SMOOTHING * (spent - self._seconds_per_call)
        self.in_flight -= 1
        if self._waiting:
            self._wake()

    def _wake(self) -> None:
        while self._waiting and self.in_flight < self.max_in_flight:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self.in_flight += 1
                waiter.set_result(None)

    async def _wait(self, remaining: float | None) -> None:
        ahead = len(self._waiting) + 1
        expected = self._seconds_per_call * (1 + ahead / self.max_in_flight)
        if ahead > self.max_waiting or (remaining is not None and expected > remaining):
            raise Unavailable(
                "The service is at its limit; try again later",
                reason="OVERLOADED",
                retry_after_seconds=self.retry_after_seconds,
            )
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            async with asyncio.timeout(remaining):
                await waiter
        except (asyncio.CancelledError, TimeoutError) as error:
            self._give_up(waiter)
            if isinstance(error, TimeoutError):
                raise DeadlineExceeded from None
            raise

    def _give_up(self, waiter: asyncio.Future[None]) -> None:
        if waiter.done() and not waiter.cancelled():
            self.in_flight -= 1
            self._wake()
        elif waiter in self._waiting:
            self._waiting.remove(waiter)
