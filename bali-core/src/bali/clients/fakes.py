"""Clients for tests: typed like the real ones, answering what a test says."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bali.clients.codec import codec_of
from bali.clients.metadata import checked_metadata
from bali.clients.method import CallOptions, Method, check_call
from bali.clients.operations import done_operation
from bali.clients.options import ClientOptions
from bali.clients.schema import Schema
from bali.errors import BaliError, ConfigurationError

__all__ = ["AsyncFakeClient", "FakeClient", "RecordedCall"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedCall:
    """One call that was made: the method (`"get_user"`), its request, and how it was called.

    `request` is a schema, a list of them when the client streams, None for an empty message.
    """

    method: str
    request: Any
    options: CallOptions


class _Fake:
    """What sync and async fakes share."""

    methods: ClassVar[Mapping[str, Method]]

    def __init__(self, address: str | None = None, **_: Any) -> None:
        self.options = ClientOptions(address=address or "fake:0")
        #: Every call in order.
        self.calls: list[RecordedCall] = []
        self._answers: dict[str, list[Any]] = {}

    def respond(self, method: str, *answers: Any) -> None:
        """Say what a method answers: one answer after the other, the last one again and again.

        An answer is a response (a schema or a mapping of its fields; a list of them for a stream,
        which may end with an error), an error to raise, or a function that takes the request and
        returns one of these; a coroutine function too where the client is async. Raises
        `ConfigurationError` for a method that the client does not have and when nothing is given.
        """
        known = self._known(method)
        if not answers:
            raise ConfigurationError(f"respond({method!r}) was given no answer")
        self._answers[known.name] = list(answers)

    def calls_of(self, method: str) -> list[RecordedCall]:
        """Return the calls of one method; raise `ConfigurationError` for one that is not there."""
        known = self._known(method)
        return [call for call in self.calls if call.method == known.name]

    def _known(self, method: str) -> Method:
        known = self.methods.get(method)
        if known is None:
            raise ConfigurationError(
                f"{type(self).__name__} has no method {method!r}; it has {', '.join(self.methods)}"
            )
        return known

    def _record(self, method: Method, request: Any, call: CallOptions) -> Any:
        """Note a call and return what it is answered with, which may be an error to raise."""
        check_call(method, call)
        checked_metadata(call.get("metadata") or {})
        self.calls.append(RecordedCall(method=method.name, request=request, options=call))
        waiting = self._answers.get(method.name)
        if not waiting:
            raise ConfigurationError(
                f"{type(self).__name__} has no answer for {method.name}; give it one: "
                f"fake.respond({method.name!r}, ...)"
            )
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if callable(answer) and not isinstance(answer, type):
            answer = answer(request)
        return answer

    def _silenced(self, method: Method, call: CallOptions, error: BaliError) -> Any:
        if not call.get("fail_silently"):
            raise error
        return method.empty_answer()

    def _checked(self, method: Method, answer: Any) -> Any:
        """Return an answer as it would come from the wire; raise one that is an error."""
        if isinstance(answer, BaseException):
            raise answer
        if inspect.iscoroutine(answer):
            answer.close()
            raise ConfigurationError(
                f"{method.name} is not async here; give respond() a plain function"
            )
        if method.operation is not None:
            return self._checked_operation(method, answer)
        shape = method.response
        if shape is None:
            return None
        return self._fitting(method, shape, answer)

    def _checked_operation(self, method: Method, answer: Any) -> Any:
        """Return an operation that is done, with what a test gave as its result."""
        shape = method.operation.result if method.operation is not None else None
        if isinstance(answer, method.response_type):
            return answer
        return done_operation(None if shape is None else self._fitting(method, shape, answer))

    def _fitting(self, method: Method, shape: Any, answer: Any) -> Any:
        if isinstance(answer, Mapping) and issubclass(shape, Schema):
            answer = shape.model_validate(dict(answer))
        if not isinstance(answer, shape):
            raise ConfigurationError(
                f"{method.name} answers with {shape.__name__}, but respond() was given "
                f"{answer if isinstance(answer, type) else type(answer).__name__}"
            )
        if isinstance(answer, Schema):
            codec = codec_of(type(answer))
            return codec.to_schema(codec.to_message(answer))
        return answer

    def _canned(self, method: Method, answer: Any, call: CallOptions) -> Iterator[Any]:
        """Give the items of a stream up to its error, which a silent call does not raise."""
        if isinstance(answer, BaseException):
            answer = [answer]
        if isinstance(answer, Mapping | Schema | str) or not isinstance(answer, Iterable):
            raise ConfigurationError(
                f"{method.name} is a stream; give respond() a list of answers, not "
                f"{type(answer).__name__}"
            )
        try:
            for item in answer:
                yield self._checked(method, item)
        except BaliError as error:
            self._silenced(method, call, error)

    def _request(self, method: Method, request: Any, given: Mapping[str, Any]) -> Any:
        message = method.encode(request, given)
        shape = method.request
        if shape is None:
            return None
        return codec_of(shape).to_schema(message) if issubclass(shape, Schema) else message


class FakeClient(_Fake):
    """The base of generated fakes of sync clients."""

    def _unary(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> Any:
        return self._answer(method, self._request(method, request, given), call)

    def _answer(self, method: Method, request: Any, call: CallOptions) -> Any:
        try:
            return self._checked(method, self._record(method, request, call))
        except BaliError as error:
            return self._silenced(method, call, error)

    def _server_stream(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> Iterator[Any]:
        answer = self._record(method, self._request(method, request, given), call)
        return self._canned(method, answer, call)

    def _client_stream(self, method: Method, requests: Iterable[Any], call: CallOptions) -> Any:
        taken = [self._request(method, request, {}) for request in requests]
        return self._answer(method, taken, call)

    def _both_stream(
        self, method: Method, requests: Iterable[Any], call: CallOptions
    ) -> Iterator[Any]:
        taken = [self._request(method, request, {}) for request in requests]
        return self._canned(method, self._record(method, taken, call), call)


class AsyncFakeClient(_Fake):
    """The base of generated fakes of async clients."""

    async def _unary(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> Any:
        return await self._answer(method, self._request(method, request, given), call)

    async def _answer(self, method: Method, request: Any, call: CallOptions) -> Any:
        try:
            return self._checked(method, await _settled(self._record(method, request, call)))
        except BaliError as error:
            return self._silenced(method, call, error)

    async def _server_stream(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> AsyncIterator[Any]:
        answer = self._record(method, self._request(method, request, given), call)
        for item in self._canned(method, await _settled(answer), call):
            yield item

    async def _client_stream(
        self, method: Method, requests: AsyncIterable[Any] | Iterable[Any], call: CallOptions
    ) -> Any:
        taken = [self._request(method, request, {}) async for request in _each(requests)]
        return await self._answer(method, taken, call)

    async def _both_stream(
        self, method: Method, requests: AsyncIterable[Any] | Iterable[Any], call: CallOptions
    ) -> AsyncIterator[Any]:
        taken = [self._request(method, request, {}) async for request in _each(requests)]
        answer = await _settled(self._record(method, taken, call))
        for item in self._canned(method, answer, call):
            yield item


async def _settled(answer: Any) -> Any:
    """Return an answer; wait for it when it comes from an async function."""
    return await answer if inspect.isawaitable(answer) else answer


async def _each(items: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
