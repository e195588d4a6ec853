"""The worker of one process: it claims operations, performs them and gives signs of life.

A process that is killed stops giving signs of life, and when its leases have passed, others begin
its operations anew. One that is told to stop gives them back at once. So an action may be performed
more than once; what it changes in the database is stored once, together with its result.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import logging
import uuid
from collections.abc import Callable
from typing import Any

from pydantic import BaseModel

from bali.errors import Aborted, BaliError, Cancelled
from bali.operations.options import OperationOptions
from bali.operations.outcomes import OperationActions
from bali.operations.running import Running
from bali.operations.store import Claim, OperationStore, Outcome
from bali.operations.values import loads
from bali.resources import Call, Context, Pipeline, Principal

__all__ = ["Worker"]

_log = logging.getLogger("bali.operations")
_PURGE_SECONDS = 600.0
_CLAIM = "look for operations to perform"
_BEAT = "tell that operations are performed here"
#: How long actions may take to unwind when the process is to end.
_UNWIND_SECONDS = 10.0
#: The least time between two times that progress is stored.
_PROGRESS_SECONDS = 0.2


class Worker:
    """Performs the operations of an app in the running event loop, from `start` to `stop`.

    `on_end` is called with the id of each operation that ended here.
    """

    def __init__(
        self,
        store: OperationStore,
        actions: OperationActions,
        pipeline: Pipeline,
        options: OperationOptions,
        on_end: Callable[[str], None],
    ) -> None:
        self._id = uuid.uuid4().hex
        self._store = store
        self._actions = actions
        self._pipeline = pipeline
        self._options = options
        self._on_end = on_end
        self._running: dict[str, Running] = {}
        self._loops: list[asyncio.Task[None]] = []
        self._work = asyncio.Event()
        self._progress = asyncio.Event()
        self._complaints: dict[str, str] = {}
        self._stop = asyncio.Event()
        self._ending: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look for work."""
        if self._options.workers:
            for loop in (self._claim_on(), self._beat_on(), self._purge_on()):
                self._loops.append(asyncio.create_task(loop, context=contextvars.Context()))

    def wake(self) -> None:
        """Look for work now: some was stored by this process."""
        self._work.set()

    async def stop(self) -> None:
        """Take no more work, and give back what is not done; return when that is stored.

        It may be asked for more than once, and each time returns when all has ended.
        """
        if self._ending is None:
            self._ending = asyncio.create_task(self._end(), context=contextvars.Context())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        for running in self._running.values():
            running.is_released = True
            running.cancel()
        # The loops are not cancelled: what they ask of the database is awaited.
        self._stop.set()
        self._work.set()
        self._progress.set()
        tasks = [*self._loops, *(item.task for item in self._running.values() if item.task)]
        if not tasks:
            return
        await asyncio.wait(tasks, timeout=_UNWIND_SECONDS)
        going_on = [
            key for key, item in self._running.items() if item.task and not item.task.done()
        ]
        for key in going_on:
            _log.warning("%s goes on after it was told to end", self._running[key].name)
        try:
            await self._store.release_all(self._id, but=going_on)
        except Exception as error:  # noqa: BLE001 - their leases pass
            self._complain("give operations back", error)

    # -- the loops -----------------------------------------------------------------------------

    async def _claim_on(self) -> None:
        while not self._stop.is_set():
            self._work.clear()
            try:
                await self._claim()
                self._complaints.pop(_CLAIM, None)
            except Exception as error:  # noqa: BLE001 - the database may answer again
                self._complain(_CLAIM, error)
            if not self._stop.is_set():
                await _within(self._options.poll_seconds, self._work)

    async def _claim(self) -> None:
        room = self._options.workers - len(self._running)
        if room <= 0:
            return
        claims = await self._store.claim(
            self._id,
            self._actions.names,
            limit=room,
            lease_seconds=self._options.lease_seconds,
        )
        if self._stop.is_set():
            return  # `stop` gives them back
        for claim in claims:
            running = Running(claim=claim, tell=self._progress.set, loop=asyncio.get_running_loop())
            self._running[claim.id] = running
            running.task = asyncio.create_task(
                self._perform(running), context=contextvars.Context()
            )

    async def _beat_on(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not self._stop.is_set():
            try:
                await self._store_progress()
                if loop.time() >= due:
                    due = loop.time() + self._options.heartbeat_seconds
                    await self._beat()
                    self._complaints.pop(_BEAT, None)
            except Exception as error:  # noqa: BLE001 - in time, the lease tells others
                self._complain(_BEAT, error)
            await _within(_PROGRESS_SECONDS, self._stop)
            await _within(max(0.0, due - loop.time()), self._progress)

    async def _beat(self) -> None:
        ids = list(self._running)
        if not ids:
            return
        held = await self._store.renew(self._id, ids, self._options.lease_seconds)
        for operation_id in ids:
            running = self._running.get(operation_id)
            if running is None:
                continue
            if operation_id not in held and running.is_ending:
                continue  # its own end was stored a moment ago
            if operation_id not in held:
                _log.warning("another worker has taken over %s", running.name)
                running.is_released = True
                running.cancel()
            elif held[operation_id] and not running.is_cancelled:
                running.is_cancelled = True
                running.cancel()

    async def _store_progress(self) -> None:
        self._progress.clear()
        for running in list(self._running.values()):
            if running.progress is not None:
                percent, text = running.progress
                running.progress = None
                await self._store.report(self._id, running.claim, percent, text)

    async def _purge_on(self) -> None:
        while not self._stop.is_set():
            try:
                await self._store.purge()
            except Exception as error:  # noqa: BLE001 - there is a next time
                self._complain("remove the operations that have expired", error)
            await _within(_PURGE_SECONDS, self._stop)

    def _complain(self, what: str, error: Exception) -> None:
        """Log what does not work, once as long as it stays the same."""
        text = str(error).partition("\n")[0]
        if self._complaints.get(what) != text:
            self._complaints[what] = text
            _log.warning("cannot %s: %s", what, text)

    # -- one operation -------------------------------------------------------------------------

    async def _perform(self, running: Running) -> None:
        claim = running.claim
        try:
            await self._run(running)
        except asyncio.CancelledError:
            await self._interrupted(running)
        except Exception:  # noqa: BLE001 - the lease passes, and another attempt is made
            _log.exception("cannot store how %s has ended", running.name)
        finally:
            self._running.pop(claim.id, None)
            self._on_end(claim.id)
            self.wake()

    async def _run(self, running: Running) -> None:
        claim = running.claim
        request = loads(claim.request)
        request_id = str(request["request_id"])
        if claim.is_cancelled:
            await self._finish(claim, self._actions.failed(_cancelled(), request_id))
            return
        if claim.losses >= self._options.max_losses:
            await self._finish(claim, self._actions.failed(_given_up(claim), request_id))
            return

        async def conclude(value: BaseModel | None) -> None:
            running.is_ending = True
            if not await self._finish(claim, self._actions.succeeded(claim.action, value)):
                raise Aborted("another worker has taken over the operation", reason="TAKEN_OVER")

        call = self._call(running, request)
        try:
            await self._pipeline.perform(call, conclude)
        except BaliError as error:
            if running.is_released:
                await self._store.release(self._id, claim)
            else:
                running.is_ending = True
                told = _cancelled() if isinstance(error, Cancelled) else error
                await self._finish(claim, self._actions.failed(told, request_id))

    def _call(self, running: Running, request: dict[str, Any]) -> Call:
        principal = request["principal"]
        context = Context(
            operation=running.claim.action,
            metadata={"traceparent": request["traceparent"]},
            request_id=request["request_id"],
            principal=None
            if principal is None
            else Principal(
                id=principal["id"],
                scopes=frozenset(principal["scopes"]),
                claims=principal["claims"],
            ),
            long_running=running,
        )
        work = self._actions.work(running.claim.action)
        return Call(spec=work, arguments=request["arguments"], context=context)

    async def _interrupted(self, running: Running) -> None:
        """Store why an operation was interrupted: it is given back, or its caller gave it up."""
        claim = running.claim
        try:
            if not running.is_cancelled:
                await self._store.release(self._id, claim)
            else:
                request_id = str(loads(claim.request)["request_id"])
                await self._finish(claim, self._actions.failed(_cancelled(), request_id))
        except Exception:  # noqa: BLE001 - the lease passes, and another attempt is made
            _log.exception("cannot store that %s was interrupted", running.name)

    async def _finish(self, claim: Claim, outcome: Outcome) -> bool:
        return await self._store.finish(self._id, claim, outcome, self._options.retention_seconds)


async def _within(seconds: float, event: asyncio.Event) -> None:
    """Wait for an event, at most so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()


def _cancelled() -> Cancelled:
    return Cancelled("The operation was cancelled")


def _given_up(claim: Claim) -> Aborted:
    return Aborted(
        f"The operation was begun {claim.attempt - 1} times, and each time its worker was lost",
        reason="WORKERS_LOST",
    )
