"""Calling a resource from a hand-written gRPC servicer.

`UserResource(request, context, pb2.UserResponse).get_users()` goes through the same pipeline as
every other call. The RPC adapter provides the runtime that translates the messages; this module
only knows that there is one.
"""

from __future__ import annotations

import contextvars
import functools
from typing import Any, Protocol

from bali.errors import ConfigurationError

__all__ = ["ServicerResource", "ServicerRuntime", "use_servicer_runtime"]


class ServicerRuntime(Protocol):
    """Runs one action for a servicer."""

    def call(
        self, resource: type[Any], action: str, request: Any, context: Any, response: Any
    ) -> Any:
        """Run `action` with a protobuf request and return a message of type `response`.

        In an event loop the result is awaitable; in a worker thread it is the message. Errors end
        the call through `context`, as a servicer's `abort` does.
        """


_runtime: contextvars.ContextVar[ServicerRuntime | None] = contextvars.ContextVar(
    "bali_servicer_runtime", default=None
)


def use_servicer_runtime(runtime: ServicerRuntime | None) -> None:
    """Make `runtime` serve the resources that this task or thread constructs."""
    _runtime.set(runtime)


class ServicerResource:
    """A resource bound to one request of a servicer; its actions take no arguments."""

    def __init__(self, resource: type[Any], request: Any, context: Any, response: Any) -> None:
        self._resource = resource
        self._request = request
        self._context = context
        self._response = response

    def __getattr__(self, name: str) -> Any:
        action = self._resource.action_name(name)
        if action is None:
            raise AttributeError(f"{self._resource.__name__} has no action {name!r}")
        runtime = _runtime.get()
        if runtime is None:
            raise ConfigurationError(
                f"{self._resource.__name__}(request, context, ...): this gRPC server does not run "
                "bali; create it with interceptors=[ProcessInterceptor()], or mount the servicer "
                "with app.add_servicer(...)"
            )
        return functools.partial(
            runtime.call, self._resource, action, self._request, self._context, self._response
        )
