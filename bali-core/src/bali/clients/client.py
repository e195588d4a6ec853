"""The base of generated sync clients."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

import grpc

from bali.clients.base import ClientBase, multicallable
from bali.clients.channels import is_open, lease_sync, release_sync
from bali.clients.method import CallOptions, Method
from bali.clients.operations import Operation
from bali.clients.outgoing import Outgoing, error_of, without_cache_errors

__all__ = ["Client"]


class Client(ClientBase):
    """Calls the methods of one service; all clients of an address share one channel.

    `address` and `options` are those of `clients/_config.py` and the environment when absent; any
    of `ClientOptions` may be given by name. Threads may share a client. Used as a context manager
    it gives its channel back at the end, and the last user closes it; without, the process does.
    """

    def close(self) -> None:
        """Give the channel back; a later call takes one again."""
        lease, self._lease = self._lease, None
        if lease is not None:
            release_sync(lease, self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the channel, so that a client may be copied and sent to a process."""
        return {name: value for name, value in vars(self).items() if name != "_lease"}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at {self.options.address}>"

    # -- for generated code --------------------------------------------------------------------

    def _unary(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> Any:
        message = method.encode(request, given)
        outgoing = Outgoing.new(method, self.options, call, message)
        cache = self.options.cache if outgoing.cache_seconds or call.get("refresh") else None
        if cache is None:
            return self._ask(outgoing, message)
        key = outgoing.cache_key(message)
        with without_cache_errors(method):
            if call.get("refresh"):
                cache.delete(key)
            elif (known := outgoing.cached(cache.get(key))) is not None:
                return known
        return self._ask(outgoing, message, keep=(cache, key))

    def _operation(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> Operation[Any, Any]:
        return Operation(self, method, self._unary(method, request, given, call), call)

    def _ask(self, outgoing: Outgoing, message: Any, keep: Any = None) -> Any:
        method = outgoing.method
        multicallable = self._multicallable(method)
        while True:
            try:
                answer = multicallable(
                    message, timeout=outgoing.timeout_seconds, metadata=outgoing.metadata
                )
            except grpc.RpcError as failure:
                error = error_of(method, failure)
                pause = outgoing.pause_before_next(error)
                if pause is None:
                    return outgoing.silenced(error, failure)
                time.sleep(pause)
            else:
                if keep is not None and outgoing.cache_seconds:
                    cache, key = keep
                    with without_cache_errors(method):
                        cache.set(key, answer.SerializeToString(), timeout=outgoing.cache_seconds)
                return method.decode(answer)

    def _server_stream(
        self, method: Method, request: Any, given: Mapping[str, Any], call: CallOptions
    ) -> Iterator[Any]:
        message = method.encode(request, given)
        outgoing = Outgoing.new(method, self.options, call, message)
        return self._items(outgoing, message)

    def _client_stream(self, method: Method, requests: Iterable[Any], call: CallOptions) -> Any:
        outgoing = Outgoing.new(method, self.options, call)
        return self._ask(outgoing, _messages(method, requests))

    def _both_stream(
        self, method: Method, requests: Iterable[Any], call: CallOptions
    ) -> Iterator[Any]:
        outgoing = Outgoing.new(method, self.options, call)
        return self._items(outgoing, _messages(method, requests))

    def _items(self, outgoing: Outgoing, message: Any) -> Iterator[Any]:
        """Give the items of a stream; it is tried again only while none has come."""
        method = outgoing.method
        has_begun = False
        while True:
            stream = self._multicallable(method)(
                message, timeout=outgoing.timeout_seconds, metadata=outgoing.metadata
            )
            try:
                for item in stream:
                    has_begun = True
                    yield method.decode(item)
            except grpc.RpcError as failure:
                error = error_of(method, failure)
                pause = None if has_begun else outgoing.pause_before_next(error)
                if pause is None:
                    outgoing.silenced(error, failure)
                    return
                time.sleep(pause)
            else:
                return
            finally:
                stream.cancel()

    def _multicallable(self, method: Method) -> Any:
        lease = self._lease
        if lease is None or not is_open(lease):
            lease = self._lease = lease_sync(self.options, self)
        found = lease.calls.get(method)
        if found is None:
            found = lease.calls[method] = multicallable(lease.channel, method)
        return found


def _messages(method: Method, requests: Iterable[Any]) -> Iterator[Any]:
    for request in requests:
        yield method.encode(request, {})
