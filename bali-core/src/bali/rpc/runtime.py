"""The resources that hand-written servicers call: actions on the messages of a .proto."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import aclosing
from typing import Any, TypeVar

from google.protobuf.message import Message

from bali.concurrency import background_loop, in_event_loop, run_blocking
from bali.errors import Cancelled, ConfigurationError
from bali.proto import OPERATION, bind_request, bind_response, fill_operation, request_decoder
from bali.resources import ActionSpec, Call, Collector, Context, Pipeline

__all__ = ["PlainWait", "ResourceRuntime", "ServedCall", "Wait"]

T = TypeVar("T")

#: Runs a coroutine on the loop that owns it, while the calling thread waits.
Wait = Callable[[Coroutine[Any, Any, Any]], Any]

_END = object()


class ResourceRuntime:
    """What all calls of one server share: the actions of resources, bound to messages.

    Without a pipeline each resource gets one with the unit of work of its own database.
    """

    def __init__(self, pipeline: Pipeline | None) -> None:
        self._pipeline = pipeline
        self._specs: dict[type[Any], dict[str, ActionSpec]] = {}
        self._pipelines: dict[type[Any], Pipeline] = {}
        self._codecs: dict[tuple[ActionSpec, Any, Any], tuple[Any, Any]] = {}

    def spec(self, resource: type[Any], action: str) -> ActionSpec:
        """Return an action of a resource. Raises `ConfigurationError` for a bad resource."""
        specs = self._specs.get(resource)
        if specs is None:
            collected = Collector().collect(resource)
            specs = self._specs[resource] = {spec.name: spec for spec in collected.actions}
        return specs[action]

    def codec(self, spec: ActionSpec, request: Any, response: Any) -> tuple[Any, Any]:
        """Return what reads a request and what fills a response, given their descriptors.

        Raises `ConfigurationError` for a message that does not fit the action.
        """
        key = (spec, request, response)
        if key not in self._codecs:
            self._codecs[key] = _codec(spec, request, response)
        return self._codecs[key]

    def pipeline(self, resource: type[Any]) -> Pipeline:
        """Return what runs the actions of a resource."""
        if self._pipeline is not None:
            return self._pipeline
        if resource not in self._pipelines:
            store = resource.find_store()
            self._pipelines[resource] = Pipeline(units=[store.unit] if store else [])
        return self._pipelines[resource]


def _codec(spec: ActionSpec, request: Any, response: Any) -> tuple[Any, Any]:
    if spec.work is None:
        decode = request_decoder(spec.request, spec.response, request, response)
        return decode, bind_response(spec.response, response).fill
    if response.full_name != OPERATION:
        raise ConfigurationError(
            f"{spec.place}: lro=True answers with {OPERATION}; pass operations_pb2.Operation as "
            "the response message"
        )
    # Which message its metadata would be is said in the .proto of the servicer, not here.
    fill = functools.partial(fill_operation, metadata=None)
    return bind_request(spec.request, request).to_values, fill


class ServedCall:
    """One call of a servicer: the runtime of the resources that it makes.

    They share the caller's request id, deadline and metadata; what their actions send as response
    metadata comes together in `context`. Close it on the loop when the servicer has ended.
    """

    __slots__ = ("_feeds", "_runtime", "_wait", "context")

    def __init__(
        self, runtime: ResourceRuntime, context: Context, wait: Wait = run_blocking
    ) -> None:
        self.context = context
        self._runtime = runtime
        self._wait = wait
        self._feeds: list[_Feed] = []

    def call(
        self, resource: type[Any], action: str, request: Any, context: Any, response: Any
    ) -> Any:
        """Run an action; see `bali.resources.ServicerRuntime`."""
        del context
        spec = self._runtime.spec(resource, action)
        decode, fill = self._runtime.codec(spec, request.DESCRIPTOR, response.DESCRIPTOR)
        call = Call(spec=spec, arguments=decode(request), context=self._context())
        pipeline = self._runtime.pipeline(resource)
        if spec.is_streaming:
            messages = _stream(pipeline, call, fill, response)
            return messages if in_event_loop() else self._blocking(messages)
        work = _run(pipeline, call, fill, response)
        return work if in_event_loop() else self._wait(work)

    @property
    def is_open(self) -> bool:
        """Whether something of it still runs on the loop."""
        return bool(self._feeds)

    async def close(self) -> None:
        """End the streams that the servicer has not read to their end."""
        while self._feeds:
            await self._feeds.pop().close()

    def _context(self) -> Context:
        known = self.context
        return Context(
            protocol=known.protocol,
            metadata=known.metadata,
            deadline_monotonic=known.deadline_monotonic,
            request_id=known.request_id,
            peer=known.peer,
            peer_certificate=known.peer_certificate,
            response_metadata=known.response_metadata,
        )

    def _blocking(self, messages: AsyncGenerator[Message, None]) -> Iterator[Message]:
        feed = _Feed(messages)
        self._feeds.append(feed)
        while (message := self._wait(feed.take())) is not _END:
            yield message


async def _run(
    pipeline: Pipeline, call: Call, fill: Callable[[Any, Any], None], response: Any
) -> Message:
    return _message(response, fill, await pipeline.run(call))


async def _stream(
    pipeline: Pipeline, call: Call, fill: Callable[[Any, Any], None], response: Any
) -> AsyncGenerator[Message, None]:
    async with aclosing(pipeline.stream(call)) as items:
        async for item in items:
            yield _message(response, fill, item)


def _message(response: Any, fill: Callable[[Any, Any], None], result: Any) -> Message:
    message: Message = response()
    if result is not None:
        fill(message, result)
    return message


class _Feed:
    """A stream that one task of the loop produces, as far as a thread asks for it."""

    __slots__ = ("_items", "_queue", "_task", "_wanted")

    def __init__(self, items: AsyncGenerator[Any, None]) -> None:
        self._items = items
        self._wanted = asyncio.Semaphore(0)
        self._queue: asyncio.Queue[tuple[Any, BaseException | None]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> Any:
        """Return the next item, `_END` after the last. Raises what the stream raised."""
        if self._task is None:
            self._task = asyncio.create_task(self._produce())
        self._wanted.release()
        item, error = await self._queue.get()
        if error is not None:
            raise error
        return item

    async def close(self) -> None:
        """End the stream, and return when it has unwound."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    async def _produce(self) -> None:
        try:
            async with aclosing(self._items) as items:
                await self._wanted.acquire()
                async for item in items:
                    self._queue.put_nowait((item, None))
                    await self._wanted.acquire()
        except asyncio.CancelledError as error:
            self._queue.put_nowait((None, error))
            raise
        except Exception as error:  # noqa: BLE001 - raised again where it is awaited
            self._queue.put_nowait((None, error))
        else:
            self._queue.put_nowait((_END, None))


class PlainWait:
    """Waits in a thread of a plain `grpc.server`, until the caller of the RPC has gone.

    The work runs on the background loop of the process, which all calls share.
    """

    __slots__ = ("_context",)

    def __init__(self, context: Any) -> None:
        self._context = context

    def __call__(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end. Raises `Cancelled` when the RPC has ended before."""
        future = asyncio.run_coroutine_threadsafe(coroutine, background_loop())
        if not self._context.add_callback(future.cancel):
            future.cancel()
        try:
            return future.result()
        except (concurrent.futures.CancelledError, asyncio.CancelledError):
            raise Cancelled from None
