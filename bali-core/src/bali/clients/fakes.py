"""Clients for tests: typed like the real ones, answering what a test says."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bali.clients.codec import codec_of
from bali.clients.metadata import checked_metadata
from bali.clients.method import CallOptions, Method, check_call
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

        An answer is a response (a schema or a mapping of its fields; a list of them for a stream),
        an error to raise, or a function that takes the request and returns one of these. Raises
        `ConfigurationError` for a method that the client does not have and when nothing is given.
        """
        known = self.methods.get(method)
        if known is None:
            raise ConfigurationError(
                f"{type(self).__name__} has no method {method!r}; it has {', '.join(self.methods)}"
            )
        if not answers:
            raise ConfigurationError(f"respond({method!r}) was given no answer")
        self._answers[known.name] = list(answers)

    def calls_of(self, method: str) -> list[RecordedCall]:
        """Return the calls of one method."""
        known = self.methods[method]
        return [call for call in self.calls if call.method == known.name]

    def _record(self, method: Method, request: Any, call: CallOptions) -> Any:
        """Note a call and return what it is answered with; raise an answer that is an error."""
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
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _silenced(self, method: Method, call: CallOptions, error: BaliError) -> Any:
        if not call.get("fail_silently"):
            raise error
        return method.empty_answer()

    def _checked(self, method: Method, answer: Any) -> Any:
        """Return an answer as it would come from the wire."""
        shape = method.response
        if shape is None:
            return None
        if isinstance(answer, Mapping) and issubclass(shape, Schema):
            answer = shape.model_validate(dict(answer))
        if not isinstance(answer, shape):
            raise ConfigurationError(
                f"{method.name} answers with {shape.__name__}, but respond() was given "
                f"{type(answer).__name__}"
            )
        if isinstance(answer, Schema):
            return method.decode(codec_of(type(answer)).to_message(answer))
        return answer

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
        try:
            answer = self._record(method, self._request(method, request, given), call)
        except BaliError as error:
            return self._silenced(method, call, error)
        return self._checked(method, answer)

    def _server_stream(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> Iterator[Any]:
        answer = self._record(method, self._request(method, request, given), call)
        return (self._checked(method, item) for item in answer)

    def _client_stream(self, method: Method, requests: Iterable[Any], call: CallOptions) -> Any:
        taken = [self._request(method, request, {}) for request in requests]
        return self._checked(method, self._record(method, taken, call))

    def _both_stream(
        self, method: Method, requests: Iterable[Any], call: CallOptions
    ) -> Iterator[Any]:
        taken = [self._request(method, request, {}) for request in requests]
        return (self._checked(method, item) for item in self._record(method, taken, call))


class AsyncFakeClient(_Fake):
    """The base of generated fakes of async clients."""

    async def _unary(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> Any:
        try:
            answer = self._record(method, self._request(method, request, given), call)
        except BaliError as error:
            return self._silenced(method, call, error)
        return self._checked(method, answer)

    async def _server_stream(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> AsyncIterator[Any]:
        for item in self._record(method, self._request(method, request, given), call):
            yield self._checked(method, item)

    async def _client_stream(
        self, method: Method, requests: AsyncIterable[Any] | Iterable[Any], call: CallOptions
    ) -> Any:
        taken = [self._request(method, request, {}) async for request in _each(requests)]
        return self._checked(method, self._record(method, taken, call))

    async def _both_stream(
        self, method: Method, requests: AsyncIterable[Any] | Iterable[Any], call: CallOptions
    ) -> AsyncIterator[Any]:
        taken = [self._request(method, request, {}) async for request in _each(requests)]
        for item in self._record(method, taken, call):
            yield self._checked(method, item)


async def _each(items: AsyncIterable[Any] | Iterable[Any]) -> AsyncIterator[Any]:
    if isinstance(items, AsyncIterable):
        async for item in items:
            yield item
    else:
        for item in items:
            yield item
