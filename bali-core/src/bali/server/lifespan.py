"""The start-up and shutdown of an ASGI application (the ASGI lifespan protocol)."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from bali.errors import ConfigurationError
from bali.server.disconnect import ASGIApp, Message
from bali.server.listeners import StartError

__all__ = ["Lifespan"]

_log = logging.getLogger("bali.server")


class Lifespan:
    """Runs an application's lifespan in one task, from start-up to shutdown.

    `state` is what the application put there at start-up; each request gets a copy. An application
    that does not know the protocol, and says so by raising before it reads an event, is served
    without it.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._answers: asyncio.Queue[Message] = asyncio.Queue()
        self._was_asked = False
        self._error: BaseException | None = None
        self._task: asyncio.Task[None] | None = None

    async def startup(self) -> None:
        """Start the application. Raises `StartError` if it cannot start."""
        self._task = asyncio.create_task(self._run(), name="lifespan")
        answer = await self._ask("lifespan.startup", self._task)
        if answer is None:
            if self._was_asked and self._error is not None:
                raise StartError(
                    f"the application failed to start: {self._error!r}"
                ) from self._error
            return
        if answer["type"] == "lifespan.startup.failed":
            await self._task
            if isinstance(self._error, ConfigurationError):  # it says what to do; no trace helps
                raise StartError(str(self._error)) from self._error
            message = str(answer.get("message", "")).rstrip()
            raise StartError(f"the application failed to start\n{message}") from self._error

    async def shutdown(self) -> bool:
        """Shut the application down; tell whether that went well."""
        if self._task is None or self._task.done():
            return True
        answer = await self._ask("lifespan.shutdown", self._task)
        if answer is None:
            if self._error is not None:
                _log.error("the application failed to shut down", exc_info=self._error)
            return self._error is None
        if answer["type"] == "lifespan.shutdown.failed":
            _log.error("the application failed to shut down\n%s", answer.get("message", ""))
            return False
        await self._task
        return True

    async def _ask(self, event: str, task: asyncio.Task[None]) -> Message | None:
        """Send `event` and return the answer; None if the application ended without one."""
        self._events.put_nowait({"type": event})
        answer = asyncio.ensure_future(self._answers.get())
        await asyncio.wait({answer, task}, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        answer.cancel()
        return None

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 - told by whoever waits for the answer
            self._error = error

    async def _receive(self) -> Message:
        self._was_asked = True
        return await self._events.get()

    async def _send(self, message: Message) -> None:
        self._answers.put_nowait(message)
