"""What sync and async clients share: how they are told where their service is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, ClassVar

from bali.clients.channels import Lease
from bali.clients.method import Method
from bali.clients.options import ClientOptions

__all__ = ["ClientBase", "multicallable"]


class ClientBase:
    """A client of one service, before it is sync or async."""

    #: The name that `_config.py` and the environment know the service by.
    service_name: ClassVar[str]
    _lease: Lease | None = None

    def __init__(
        self, address: str | None = None, *, options: ClientOptions | None = None, **changes: Any
    ) -> None:
        self.options = _options_of(self, address, options, changes)

    @classmethod
    def default_options(cls) -> ClientOptions:
        """Return the options of this service; generated clients ask `_utils.py`."""
        return ClientOptions.from_config(cls.service_name)


def multicallable(channel: Any, method: Method) -> Any:
    """Return what makes calls of a method on a channel, sync or async."""
    ways = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    return ways[method.is_client_streaming, method.is_server_streaming](
        method.path,
        request_serializer=method.request_type.SerializeToString,
        response_deserializer=method.response_type.FromString,
    )


def _options_of(
    client: ClientBase,
    address: str | None,
    options: ClientOptions | None,
    changes: Mapping[str, Any],
) -> ClientOptions:
    """Return the options of a client: given ones, else the service's, with changes by name."""
    found = options or client.default_options()
    changes = dict(changes)
    if "timeout" in changes:
        changes["timeout_seconds"] = changes.pop("timeout")
    unknown = changes.keys() - {item.name for item in fields(ClientOptions)}
    if unknown:
        raise TypeError(
            f"{type(client).__name__} has no option {', '.join(sorted(unknown))}; there are "
            f"{', '.join(item.name for item in fields(ClientOptions))}"
        )
    if address is not None:
        changes["address"] = address
    return replace(found, **changes).normalized()
