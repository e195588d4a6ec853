"""The base of generated async clients."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping
from types import TracebackType
from typing import Any, Self

import grpc

from bali.clients.base import ClientBase, multicallable
from bali.clients.channels import is_open, lease_async, release_async
from bali.clients.method import CallOptions, Method
from bali.clients.operations import AsyncOperation
from bali.clients.outgoing import Outgoing, error_of, without_cache_errors

__all__ = ["AsyncClient"]


class AsyncClient(ClientBase):
    """Calls the methods of one service from an event loop; see `Client`.

    All clients of an address share one channel in each event loop; an app closes those of its loop
    when it stops. Cancelling the task that waits for an answer cancels the call.
    """

    async def aclose(self) -> None:
        """Give the channel back; a later call takes one again."""
        lease, self._lease = self._lease, None
        if lease is not None:
            await release_async(lease, self)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the channel, so that a client may be copied and sent to a process."""
        return {name: value for name, value in vars(self).items() if name != "_lease"}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.options.address}>"

    # -- for generated code --------------------------------------------------------------------

    async def _unary(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> Any:
        message = method.encode(request, given)
        outgoing = Outgoing.new(method, self.options, call, message)
        cache = self.options.cache if outgoing.cache_seconds or call.get("refresh") else None
        if cache is None:
            return await self._ask(outgoing, message)
        key = outgoing.cache_key(message)
        with without_cache_errors(method):
            if call.get("refresh"):
                await _settled(cache.delete(key))
            elif (known := outgoing.cached(await _settled(cache.get(key)))) is not None:
                return known
        return await self._ask(outgoing, message, keep=(cache, key))

    async def _operation(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> AsyncOperation[Any, Any]:
        message = await self._unary(method, request, given, call)
        return AsyncOperation(self, method, message, call)

    async def _ask(self, outgoing: Outgoing, message: Any, keep: Any = None) -> Any:
        method = outgoing.method
        call = self._multicallable(method)
        while True:
            try:
                answer = await call(
                    message, timeout=outgoing.timeout_seconds, metadata=outgoing.metadata
                )
            except grpc.aio.AioRpcError as failure:
                error = error_of(method, failure)
                pause = outgoing.pause_before_next(error)
                if pause is None:
                    return outgoing.silenced(error, failure)
                await asyncio.sleep(pause)
            else:
                if keep is not None and outgoing.cache_seconds:
                    cache, key = keep
                    with without_cache_errors(method):
                        stored = answer.SerializeToString()
                        await _settled(cache.set(key, stored, timeout=outgoing.cache_seconds))
                return method.decode(answer)

    def _server_stream(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> AsyncIterator[Any]:
        message = method.encode(request, given)
        outgoing = Outgoing.new(method, self.options, call, message)
        return self._items(outgoing, message)

    async def _client_stream(
        self, method: Method, requests: AsyncIterable[Any] | Iterable[Any], call: CallOptions
    ) -> Any:
        outgoing = Outgoing.new(method, self.options, call)
        return await self._ask(outgoing, _messages(method, requests))

    def _both_stream(
        self, method: Method, requests: AsyncIterable[Any] | Iterable[Any], call: CallOptions
    ) -> AsyncIterator[Any]:
        outgoing = Outgoing.new(method, self.options, call)
        return self._items(outgoing, _messages(method, requests))

    async def _items(self, outgoing: Outgoing, message: Any) -> AsyncIterator[Any]:
        """Give the items of a stream; it is tried again only while none has come."""
        method = outgoing.method
        has_begun = False
        while True:
            stream = self._multicallable(method)(
                message, timeout=outgoing.timeout_seconds, metadata=outgoing.metadata
            )
            try:
                async for item in stream:
                    has_begun = True
                    yield method.decode(item)
            except grpc.aio.AioRpcError as failure:
                error = error_of(method, failure)
                pause = None if has_begun else outgoing.pause_before_next(error)
                if pause is None:
                    outgoing.silenced(error, failure)
                    return
                await asyncio.sleep(pause)
            else:
                return
            finally:
                stream.cancel()

    def _multicallable(self, method: Method) -> Any:
        lease = self._lease
        loop = asyncio.get_running_loop()
        if lease is None or not is_open(lease, loop=loop):
            lease = self._lease = lease_async(self.options, self)
        found = lease.calls.get(method)
        if found is None:
            found = lease.calls[method] = multicallable(lease.channel, method)
        return found


async def _settled(value: Any) -> Any:
    """Return what a cache answers, whether it is sync or async."""
    return await value if inspect.isawaitable(value) else value


async def _messages(
    method: Method, requests: AsyncIterable[Any] | Iterable[Any]
) -> AsyncIterator[Any]:
    if isinstance(requests, AsyncIterable):
        async for request in requests:
            yield method.encode(request, {})
    else:
        for request in requests:
            yield method.encode(request, {})
