"""The operations of an app: started by its actions, looked after by their callers."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from bali.database import Database
from bali.errors import Cancelled, ConfigurationError, NotFound, Unauthenticated
from bali.operations.options import OperationOptions
from bali.operations.outcomes import PREFIX, OperationActions
from bali.operations.pages import decode_place, encode_place
from bali.operations.store import OperationStore, StoredOperation
from bali.operations.values import dumps
from bali.operations.waiting import Waiters
from bali.operations.worker import Worker
from bali.proto import BoundOperation
from bali.resources import ActionSpec, Call, Context, Operation, Page, Pipeline, Principal

__all__ = ["OperationDesk"]

#: How long before its caller's deadline a call that waits is answered.
_MARGIN_SECONDS = 0.25


class OperationDesk:
    """What the pipeline, the resource and the app know of operations.

    `service` tells the operations of apps apart that share a database. An operation is seen by the
    principal that started it and by nobody else; by whoever knows its name, if that was a caller
    who is not known.
    """

    def __init__(
        self,
        database: Database,
        actions: Iterable[ActionSpec],
        *,
        service: str,
        options: OperationOptions,
    ) -> None:
        self.actions = OperationActions(actions, service)
        self._options = options
        self._database = database
        self._store = OperationStore(database, service)
        self._waiters = Waiters(self._store, options.poll_seconds)
        self._worker: Worker | None = None

    # -- for the pipeline ----------------------------------------------------------------------

    async def start(self, call: Call) -> Operation:
        """Store the operation of an admitted call in its unit of work and return it."""
        context, operation_id = call.context, uuid.uuid4().hex
        principal = context.principal
        request = {
            "arguments": dict(call.arguments),
            "principal": principal and _written(principal),
            "request_id": context.request_id,
            "traceparent": context.traceparent,
        }
        owner = _owner(context)
        await self._store.add(operation_id, call.spec.operation, owner, dumps(request))
        found = await self._store.get(operation_id, owner)
        if found is None:
            raise RuntimeError(f"the operation {operation_id} is gone before it began")
        return _typed(call.spec, self.actions.operation(found))

    def started(self) -> None:
        """Have this process look for work, if it has a worker."""
        if self._worker is not None:
            self._worker.wake()

    # -- for callers ---------------------------------------------------------------------------

    async def get(self, operation_id: str, context: Context) -> Operation:
        """Return an operation of the caller. Raises `NotFound`."""
        return self.actions.operation(await self._found(operation_id, context))

    async def page(self, context: Context, page_size: int, page_token: str) -> Page[Operation]:
        """Return operations of the caller, the newest first.

        Raises `Unauthenticated` for a caller who is not known, whose operations are not told from
        those of others, and `InvalidArgument` for a token that is none of this list.
        """
        if context.principal is None:
            raise Unauthenticated("Operations are listed for callers who are known")
        owner, secret = _owner(context), self._database.page_token_secret
        before = decode_place(page_token, owner, secret) if page_token else None
        found = await self._store.page(owner, before, page_size + 1)
        shown = found[:page_size]
        token = encode_place(shown[-1].number, owner, secret) if len(found) > page_size else ""
        return Page(items=[self.actions.operation(item) for item in shown], next_page_token=token)

    async def cancel(self, operation_id: str, context: Context) -> None:
        """Ask an operation of the caller to end. Raises `NotFound`."""
        await self._found(operation_id, context)
        outcome = self.actions.failed(Cancelled("The operation was cancelled"), context.request_id)
        retention = self._options.retention_seconds
        await self._store.cancel(operation_id, _owner(context), outcome, retention)

    async def delete(self, operation_id: str, context: Context) -> None:
        """Remove an operation of the caller from sight. Raises `NotFound`."""
        await self._found(operation_id, context)
        await self._store.delete(operation_id, _owner(context))

    async def wait(self, operation_id: str, context: Context, seconds: float | None) -> Operation:
        """Return an operation of the caller when it is done, or as it is after a time.

        None, and more than `max_wait_seconds`, mean that; the caller's deadline comes first. Raises
        `NotFound`.
        """
        limit = self._options.max_wait_seconds
        seconds = limit if seconds is None else min(max(seconds, 0.0), limit)
        remaining = context.time_remaining_seconds
        if remaining is not None:
            seconds = min(seconds, max(0.0, remaining - _MARGIN_SECONDS))
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while True:
            async with self._database.unit(joins=False):  # nothing is held while it waits
                operation = await self.get(operation_id, context)
            left = end - loop.time()
            if operation.done or left <= 0 or self._waiters.is_closed:
                return operation
            await self._waiters.wait(operation_id, left)

    async def _found(self, operation_id: str, context: Context) -> StoredOperation:
        found = await self._store.get(operation_id, _owner(context))
        if found is None:
            raise NotFound(resource_type="operation", resource_name=f"{PREFIX}{operation_id}"[:200])
        return found

    # -- for the app ---------------------------------------------------------------------------

    def bind(self, operations: Mapping[ActionSpec, BoundOperation]) -> None:
        """Take the messages of the actions over gRPC, before operations are performed."""
        self.actions.bind(operations)

    @asynccontextmanager
    async def working(self, pipeline: Pipeline) -> AsyncIterator[None]:
        """Perform operations in the running loop while the block runs."""
        self._waiters.open()
        self._worker = Worker(
            self._store, self.actions, pipeline, self._options, self._waiters.tell
        )
        self._worker.start()
        try:
            yield
        finally:
            await self.stop()

    async def stop(self) -> None:
        """Give back what this process performs, and let calls that wait go on."""
        await self._waiters.close()
        if self._worker is not None:
            await self._worker.stop()


def _owner(context: Context) -> str:
    """Return what stands for a caller in the table: of one length, and no secret."""
    principal = context.principal
    return "" if principal is None else hashlib.sha256(principal.id.encode()).hexdigest()


def _written(principal: Principal) -> dict[str, Any]:
    return {
        "id": principal.id,
        "scopes": sorted(principal.scopes),
        "claims": dict(principal.claims),
    }


def _typed(spec: ActionSpec, operation: Operation) -> Operation:
    """Return an operation as an object of the action's own response model."""
    model = spec.response_model
    if model is None or not issubclass(model, Operation):
        raise ConfigurationError(f"{spec.place}: the action is not long-running")
    return model.model_validate(dict(operation)).with_wire(operation.wire)
