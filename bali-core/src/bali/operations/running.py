"""One operation that this process performs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from bali.errors import Cancelled
from bali.operations.outcomes import PREFIX
from bali.operations.store import Claim

__all__ = ["Running"]


@dataclass(slots=True, kw_only=True, eq=False)
class Running:
    """The action's side of an operation (`bali.resources.LongRunning`), and the worker's.

    `tell` is called, in the worker's loop, when there is progress to store. `is_cancelled`: its
    caller has given it up. `is_released`: this process gives it back. `is_ending`: how it ends is
    being stored.
    """

    claim: Claim
    tell: Callable[[], None]
    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[None] | None = None
    is_cancelled: bool = False
    is_released: bool = False
    is_ending: bool = False
    progress: tuple[int, str] | None = None
    _is_interrupted: bool = False

    @property
    def name(self) -> str:
        """Identifies the operation."""
        return f"{PREFIX}{self.claim.id}"

    @property
    def attempt(self) -> int:
        """How often it was begun, this time included."""
        return self.claim.attempt

    def report(self, percent: int, text: str) -> None:
        """Take note of the progress, in any thread. Raises `Cancelled` when it is to end."""
        if self.is_cancelled or self.is_released:
            raise Cancelled
        self.progress = (percent, text.replace("\x00", "").encode(errors="replace").decode())
        self.loop.call_soon_threadsafe(self.tell)

    def cancel(self) -> None:
        """Interrupt it; a second time would interrupt what is stored of the first."""
        if self.task is not None and not self._is_interrupted:
            self._is_interrupted = True
            self.task.cancel()
