"""The one way that every call takes, whatever protocol it came by.

admission, deadline, principal, permissions, validation, unit of work, action, result. Adapters
translate bytes into a `Call`, and a result or a `BaliError` into bytes; nothing is decided there.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, TypeVar

from pydantic import BaseModel

from bali.concurrency import cancelled_once, in_context, run_in_thread
from bali.errors import BaliError, ConfigurationError, DeadlineExceeded, Internal
from bali.propagation import current
from bali.resources.access import AccessLine, access_log
from bali.resources.admission import Admission
from bali.resources.context import Authenticator, Call, Context
from bali.resources.longrunning import Conclude, Operation, Operations
from bali.resources.permissions import authorize
from bali.resources.prepared import Prepared
from bali.resources.requests import ListRequest
from bali.resources.results import result_of
from bali.resources.spec import ActionSpec, Wrap
from bali.resources.store import Listing, UnitFactory
from bali.resources.streams import items_of
from bali.resources.validation import MAX_DEPTH

__all__ = ["Pipeline"]

T = TypeVar("T")

_log = logging.getLogger("bali.calls")
_END = object()
#: Where the server and the library that we use both notice that a caller has gone.
_CANCELLED_TWICE = ("connect", "grpc-web")


class Pipeline:
    """Runs calls. One per app; safe for any number of calls at once on one event loop.

    `units` open the units of work of the app's databases; `authenticator` finds the principal,
    nobody when it is None. `operations` takes long-running calls.
    """

    def __init__(
        self,
        *,
        units: Sequence[UnitFactory] = (),
        authenticator: Authenticator | None = None,
        admission: Admission | None = None,
        stream_admission: Admission | None = None,
        max_depth: int = MAX_DEPTH,
        operations: Operations | None = None,
    ) -> None:
        self.operations = operations
        self.max_depth = max_depth
        self.units = tuple(units)
        self.authenticator = authenticator
        self.admission = admission or Admission()
        self.stream_admission = stream_admission or Admission(max_in_flight=1000, max_waiting=0)
        self._prepared: dict[ActionSpec, Prepared] = {}

    def prepare(self, spec: ActionSpec) -> Prepared:
        """Build at start what calls of this action need."""
        prepared = self._prepared[spec] = Prepared(spec, self.max_depth)
        return prepared

    def run(self, call: Call) -> Coroutine[Any, Any, BaseModel | None]:
        """Answer a call: an object of `spec.response_model`, None for an empty response.

        Raises `BaliError` and nothing else, except `asyncio.CancelledError` when the caller has
        gone; the unit of work is rolled back in both cases.
        """
        is_logged = access_log.isEnabledFor(logging.INFO)
        return self._run_logged(call) if is_logged else self._run(call)

    async def _run_logged(self, call: Call) -> BaseModel | None:
        with AccessLine(call):
            return await self._run(call)

    async def _run(self, call: Call) -> BaseModel | None:
        context = call.context
        token = current.set(context)
        timeout: asyncio.Timeout | None = None
        try:
            admission = self.stream_admission if call.spec.is_waiting else self.admission
            remaining = context.time_remaining_seconds
            if remaining is None and context.protocol not in _CANCELLED_TWICE:
                entered = admission.enter_at_once() or await admission.enter(context)
                try:
                    return await self._answer(call)
                finally:
                    admission.leave(entered)
            entered = await admission.enter(context)
            try:
                async with asyncio.timeout(context.time_remaining_seconds) as timeout:
                    return await cancelled_once(_staying(self._answer(call)))
            finally:
                admission.leave(entered)
        except BaliError:
            raise
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if _is_leaving(error):
                raise
            raise _outward(error, context, timeout) from error
        finally:
            current.reset(token)

    async def _answer(self, call: Call) -> BaseModel | None:
        spec, context = call.spec, call.context
        prepared = self._prepared.get(spec) or self.prepare(spec)
        context.operation = spec.operation
        if prepared.permissions or self.authenticator is not None:
            await self._authorize(prepared, context)
        keywords = prepared.read(call.arguments, context)
        if prepared.is_simple:
            async with _open(self.units):
                return await _result(spec, prepared.make(context), keywords)
        result = None
        if prepared.short is not None:
            result = await prepared.short(keywords, context)
        if result is None:
            result = await self._act(call, prepared, keywords)
        if (
            spec.etags is not None
            and isinstance(result, spec.etags.schema)
            and "etag" not in context.response_metadata
        ):
            context.etag = spec.etags.of(result)
        if context.expand and spec.expansions is not None and result is not None:
            async with _open(self.units):
                items = [result] if spec.wrap is Wrap.NONE else result.items  # type: ignore[attr-defined]  # of many
                await spec.expansions.expand(items, context.expand, context)
        masks = spec.read_masks
        return masks.part(result, context.read_mask) if masks and context.read_mask else result

    async def _act(
        self, call: Call, prepared: Prepared, keywords: Mapping[str, Any]
    ) -> BaseModel | None:
        """Do what an action does, in a unit of work; a long-running one is only stored."""
        spec, context = call.spec, call.context
        try:
            async with _open(self.units):
                if context.validate_only:
                    result = await self._checked(call, prepared, keywords)
                    raise _NothingKept(result)  # noqa: TRY301 - it ends the unit
                if context.repeat_key and prepared.repeater is not None:
                    perform = functools.partial(self._checked, call, prepared, keywords)
                    return await prepared.repeater.answer(context, keywords, perform)
                return await self._checked(call, prepared, keywords)
        except _NothingKept as tried:
            return tried.result
        finally:
            if spec.work is not None and self.operations is not None:
                self.operations.started()

    async def _checked(
        self, call: Call, prepared: Prepared, keywords: Mapping[str, Any]
    ) -> BaseModel | None:
        """Call an action when its parent is there and its items are as they have to be."""
        spec = call.spec
        resource = prepared.make(call.context)
        if prepared.is_checked:
            await prepared.check(resource, keywords)
        if spec.work is not None:
            return await self._stored(call)
        return await _result(spec, resource, keywords)

    async def _stored(self, call: Call) -> Operation:
        if self.operations is None:
            raise ConfigurationError(
                f"{call.spec.place}: lro=True needs an app that stores operations; register the "
                "resource in a Bali"
            )
        return await self.operations.start(call)

    async def perform(self, call: Call, conclude: Conclude) -> None:
        """Do the work of a long-running operation whose call was admitted before.

        `call.spec` is the `work` of its action. `conclude` gets the result inside the unit of work:
        what it stores there is stored with all that the action did, or not at all. Raises what
        `run` raises; `asyncio.CancelledError` when this task was cancelled.
        """
        context = call.context
        with AccessLine(call):
            token = current.set(context)
            try:
                await cancelled_once(_staying(self._perform(call, conclude)))
            except BaliError:
                raise
            except (Exception, SystemExit, asyncio.CancelledError) as error:
                if _is_leaving(error):
                    raise
                raise _outward(error, context, None) from error
            finally:
                current.reset(token)

    async def _perform(self, call: Call, conclude: Conclude) -> None:
        spec = call.spec
        prepared = self._prepared.get(spec) or self.prepare(spec)
        parameters, keywords = prepared.validator.read(call.arguments)
        prepared.place(call.context, parameters, keywords)
        async with _open(self.units):
            resource = prepared.make(call.context)
            if spec.parents:
                await resource.store.check_parent()
            await conclude(await _result(spec, resource, keywords))

    async def stream(self, call: Call) -> AsyncGenerator[BaseModel, None]:
        """Answer a streaming call: objects of `spec.response_model`, one by one.

        Close it (`contextlib.aclosing`) when the caller goes away. It raises what `run` raises.
        One unit of work spans the stream; it is rolled back when the stream is closed early.
        The deadline holds while an item is made and when the next one is asked for.
        """
        with AccessLine(call):
            context = call.context
            variables = contextvars.copy_context()
            variables.run(current.set, context)
            items = self._results(call)
            timeout: asyncio.Timeout | None = None
            try:
                try:
                    while True:
                        async with asyncio.timeout(context.time_remaining_seconds) as timeout:
                            item = await in_context(variables, _next(items, context))
                        if item is _END:
                            return
                        yield item
                finally:
                    await in_context(variables, _close(items))
            except BaliError:
                raise
            except (Exception, SystemExit, asyncio.CancelledError) as error:
                if _is_leaving(error):
                    raise
                raise _outward(error, context, timeout) from error

    async def _results(self, call: Call) -> AsyncGenerator[BaseModel | None, None]:
        entered = await self.stream_admission.enter(call.context)
        try:
            prepared = self._prepared.get(call.spec) or self.prepare(call.spec)
            call.context.operation = call.spec.operation
            await self._authorize(prepared, call.context)
            keywords = prepared.read(call.arguments, call.context)
            resource = prepared.make(call.context)
            async with _open(self.units):
                if prepared.is_checked:
                    await prepared.check(resource, keywords)
                async with aclosing(items_of(call.spec, resource, keywords)) as items:
                    async for value in items:
                        yield result_of(call.spec, value)
        finally:
            self.stream_admission.leave(entered)

    async def _authorize(self, prepared: Prepared, context: Context) -> None:
        if self.authenticator is not None and context.principal is None:
            context.principal = await self.authenticator.authenticate(context)
        if prepared.permissions:
            await authorize(prepared.permissions, context)


class _NothingKept(Exception):
    """Ends a unit of work whose call only wanted to know what would come of it."""

    def __init__(self, result: BaseModel | None) -> None:
        super().__init__()
        self.result = result


async def _staying(work: Coroutine[Any, Any, T]) -> T:
    """Await work that may call `sys.exit`: from a task, that would end the whole server."""
    try:
        return await work
    except SystemExit as error:
        raise RuntimeError("the action called sys.exit()") from error


def _open(units: Sequence[UnitFactory]) -> AbstractAsyncContextManager[Any]:
    return units[0]() if len(units) == 1 else _together(units)


@asynccontextmanager
async def _together(units: Sequence[UnitFactory]) -> AsyncIterator[None]:
    """Open several units of work as one.

    They commit in order, so put the most important first: when one cannot, those after it roll
    back.
    """
    async with AsyncExitStack() as stack:
        for unit in reversed(units):
            await stack.enter_async_context(unit())
        yield


async def _result(spec: ActionSpec, resource: Any, keywords: Mapping[str, Any]) -> BaseModel | None:
    method = getattr(resource, spec.function_name)
    if spec.is_async:
        value = await method(**keywords)
    else:
        value = await run_in_thread(method, **keywords)
        if inspect.isawaitable(value):
            value = await value
    if type(value) is not spec.response_model and hasattr(type(value), "read_page"):
        value = await _read(spec, value, keywords)
    return result_of(spec, value)


async def _read(spec: ActionSpec, found: Listing, keywords: Mapping[str, Any]) -> Any:
    """Run a query that an action returned: the page that was asked for, if the action knows it."""
    request = keywords.get(spec.keyword_of_body or "")
    if spec.wrap is Wrap.PAGE and isinstance(request, ListRequest):
        return await found.read_page(request.query())
    return await found.read_all()


async def _next(items: AsyncGenerator[Any, None], context: Context) -> Any:
    if context.time_remaining_seconds == 0:
        raise DeadlineExceeded
    return await anext(items, _END)


async def _close(items: AsyncGenerator[Any, None]) -> None:
    await items.aclose()


def _is_leaving(error: BaseException) -> bool:
    """Tell whether an exception is the cancellation of this task, not of something it awaited."""
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and bool(task and task.cancelling())


def _outward(error: BaseException, context: Context, timeout: asyncio.Timeout | None) -> BaliError:
    """Return what the caller may know of an exception; log the rest."""
    is_late = timeout is not None and timeout.expired()
    if is_late and isinstance(error, TimeoutError):
        return DeadlineExceeded()
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]  # what a task group adds to the error of one task
    if isinstance(error, BaliError):
        return error
    _log.error(
        "unexpected exception in %s, request id %s",
        context.operation,
        context.request_id,
        exc_info=error,
        extra={"operation": context.operation, "request_id": context.request_id},
    )
    return DeadlineExceeded() if is_late else Internal()
