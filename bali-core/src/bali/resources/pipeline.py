"""The one way that every call takes, whatever protocol it came by.

admission, deadline, principal, permissions, validation, unit of work, action, result. Adapters
translate bytes into a `Call`, and a result or a `BaliError` into bytes; nothing is decided there.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any

from pydantic import BaseModel, ValidationError

from bali.concurrency import run_in_thread
from bali.errors import BaliError, DeadlineExceeded, Internal
from bali.resources.admission import Admission
from bali.resources.context import Authenticator, Call, Context, enter_context
from bali.resources.permissions import authorize
from bali.resources.spec import ActionSpec, Wrap
from bali.resources.store import Page, UnitFactory
from bali.resources.validation import Validator, check_values

__all__ = ["Pipeline"]

_log = logging.getLogger("bali.calls")
_END = object()


class Pipeline:
    """Runs calls. One per app; safe for any number of calls at once on one event loop.

    `units` open the units of work of the app's databases; `authenticator` finds the principal,
    nobody when it is None.
    """

    def __init__(
        self,
        *,
        units: Sequence[UnitFactory] = (),
        authenticator: Authenticator | None = None,
        admission: Admission | None = None,
        stream_admission: Admission | None = None,
    ) -> None:
        self.units = tuple(units)
        self.authenticator = authenticator
        self.admission = admission or Admission()
        self.stream_admission = stream_admission or Admission(max_in_flight=1000, max_waiting=0)
        self._validators: dict[ActionSpec, Validator] = {}

    def prepare(self, spec: ActionSpec) -> None:
        """Build at start what calls of this action need."""
        self._validators[spec] = Validator(spec)

    async def run(self, call: Call) -> BaseModel | None:
        """Answer a call: an object of `spec.response_model`, None for an empty response.

        Raises `BaliError` and nothing else, except `asyncio.CancelledError` when the caller has
        gone; the unit of work is rolled back in both cases.
        """
        context = call.context
        enter_context(context)
        timeout: asyncio.Timeout | None = None
        try:
            entered = await self.admission.enter(context)
            try:
                async with asyncio.timeout(context.time_remaining_seconds) as timeout:
                    resource, keywords = await self._admit(call)
                    async with _open(self.units):
                        value = await _invoke(call.spec, resource, keywords)
                        return _result(call.spec, value)
            finally:
                self.admission.leave(entered)
        except Exception as error:
            raise _outward(error, context, timeout) from error

    async def stream(self, call: Call) -> AsyncGenerator[BaseModel, None]:
        """Answer a streaming call: objects of `spec.response_model`, one by one.

        Iterate it in one task, and close it (`contextlib.aclosing`) when the caller goes away. It
        raises what `run` raises. One unit of work spans the stream.
        """
        context = call.context
        enter_context(context)
        timeout: asyncio.Timeout | None = None
        try:
            entered = await self.stream_admission.enter(context)
            try:
                async with asyncio.timeout(context.time_remaining_seconds) as timeout:
                    resource, keywords = await self._admit(call)
                    async with (
                        _open(self.units),
                        aclosing(_items(call.spec, resource, keywords)) as items,
                    ):
                        async for value in items:
                            result = _result(call.spec, value)
                            if result is not None:
                                yield result
            finally:
                self.stream_admission.leave(entered)
        except Exception as error:
            raise _outward(error, context, timeout) from error

    async def _admit(self, call: Call) -> tuple[Any, Mapping[str, Any]]:
        spec, context = call.spec, call.context
        context.operation = spec.operation
        if self.authenticator is not None and context.principal is None:
            context.principal = await self.authenticator.authenticate(context)
        if spec.permissions:
            await authorize(spec.permissions, context)
        keywords = self._validator(spec).keywords(call.arguments)
        return spec.resource(None, context), keywords

    def _validator(self, spec: ActionSpec) -> Validator:
        validator = self._validators.get(spec)
        if validator is None:
            validator = self._validators[spec] = Validator(spec)
        return validator


def _open(units: Sequence[UnitFactory]) -> Any:
    if len(units) == 1:
        return units[0]()
    return _Together(units)


class _Together:
    """Several units of work as one; they commit in order, so put the most important first."""

    def __init__(self, units: Sequence[UnitFactory]) -> None:
        self._units = units
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> None:
        for unit in self._units:
            await self._stack.enter_async_context(unit())

    async def __aexit__(self, *exception: Any) -> bool | None:
        return await self._stack.__aexit__(*exception)


async def _invoke(spec: ActionSpec, resource: Any, keywords: Mapping[str, Any]) -> Any:
    method = getattr(resource, spec.function_name)
    if spec.is_async:
        return await method(**keywords)
    value = await run_in_thread(method, **keywords)
    return await value if inspect.isawaitable(value) else value


async def _items(
    spec: ActionSpec, resource: Any, keywords: Mapping[str, Any]
) -> AsyncGenerator[Any, None]:
    method = getattr(resource, spec.function_name)
    source = method(**keywords) if spec.is_async else await run_in_thread(method, **keywords)
    if inspect.isawaitable(source):
        source = await source
    iterator = source if isinstance(source, AsyncIterator) else _in_thread(iter(source))
    try:
        async for value in iterator:
            yield value
    finally:
        close = getattr(iterator, "aclose", None)
        if close is not None:
            await close()


async def _in_thread(source: Iterator[Any]) -> AsyncGenerator[Any, None]:
    try:
        while (value := await run_in_thread(next, source, _END)) is not _END:
            yield value
    finally:
        close = getattr(source, "close", None)
        if close is not None:
            await run_in_thread(close)


def _result(spec: ActionSpec, value: Any) -> BaseModel | None:
    model = spec.response_model
    if model is None:
        return None
    if type(value) is not model:
        try:
            value = model.model_validate(_wrapped(spec.wrap, value), from_attributes=True)
        except ValidationError as error:
            raise TypeError(
                f"{spec.place} returned a value that is not the {model.__name__} it declares: "
                f"{error}"
            ) from error
    problems: list[Any] = []
    check_values(value, "", problems)
    if problems:
        raise ValueError(f"{spec.place} returned a value that no protocol carries: {problems}")
    return value  # type: ignore[no-any-return]  # an object of `model`


def _wrapped(wrap: Wrap, value: Any) -> Any:
    if wrap is Wrap.NONE:
        return value
    if wrap is Wrap.ITEMS:
        return {"items": list(value)}
    if wrap is Wrap.RESULT:
        return {"result": value}
    if isinstance(value, Page):
        return {
            "items": list(value.items),
            "next_page_token": value.next_page_token,
            "total": value.total,
        }
    return value if isinstance(value, Mapping) else {"items": list(value)}


def _outward(error: Exception, context: Context, timeout: asyncio.Timeout | None) -> BaliError:
    """Return what the caller may know of an exception; log the rest."""
    if isinstance(error, BaliError):
        return error
    if isinstance(error, TimeoutError) and timeout is not None and timeout.expired():
        return DeadlineExceeded()
    _log.error(
        "unexpected exception in %s, request id %s",
        context.operation,
        context.request_id,
        exc_info=error,
        extra={"operation": context.operation, "request_id": context.request_id},
    )
    return Internal()
