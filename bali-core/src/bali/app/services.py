"""The gRPC side of an app: its own service, and the servicers mounted on it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from google.protobuf.descriptor import ServiceDescriptor
from starlette.types import ASGIApp

from bali.app.contract import build_locked
from bali.errors import ConfigurationError
from bali.proto import BoundService, ServiceShape, bind_service
from bali.resources import Pipeline, ResourceSpec
from bali.rpc import RpcService
from bali.server import PeerRegistry, Readiness
from bali.settings import Stage

if TYPE_CHECKING:
    import grpc

    from bali.operations import OperationDesk
    from bali.rpc import HealthService

__all__ = ["AddToServer", "Services", "adder_of", "find_service", "service_names"]

_log = logging.getLogger("bali.app")

#: `add_UserServiceServicer_to_server` of a module that protoc wrote.
AddToServer = Callable[[Any, Any], None]


class Services:
    """What an app offers over gRPC, Connect and gRPC-Web; made once its resources are known."""

    def __init__(
        self,
        specs: Sequence[ResourceSpec],
        pipeline: Pipeline,
        *,
        shape: ServiceShape,
        contract: str,
        stage: Stage,
        proto: Any,
        servicers: Sequence[tuple[AddToServer, Any]],
        readiness: Readiness,
        peers: PeerRegistry,
        desk: OperationDesk | None = None,
    ) -> None:
        self.pipeline = pipeline
        self.peers = peers
        self.full_name = f"{shape.package}.{shape.name}"
        self.servicers = tuple(servicers)
        self.bound: BoundService | None = None
        self.rpc: RpcService | None = None
        self.mounted = tuple(service_names(servicer) for _, servicer in self.servicers)
        mounted_names = {name for names in self.mounted for name in names}
        if shape.methods:
            if self.full_name in mounted_names:
                _log.info("%s is served by the servicer that was mounted for it", self.full_name)
            else:
                descriptor = find_service(proto, shape.name) if proto is not None else None
                is_deployed = stage in (Stage.STAGING, Stage.PROD)
                self.bound = (
                    bind_service(shape, descriptor)
                    if descriptor
                    else build_locked(shape, contract, is_deployed=is_deployed)
                )
                self.rpc = RpcService(self.bound, specs, pipeline, resolve_peer=peers.peer)
        self.operations: RpcService | None = None
        if desk is not None and (self.rpc is not None or self.servicers):
            from bali.app.operations_service import operations_service  # noqa: PLC0415 - few have it

            self.operations = operations_service(
                desk, specs, pipeline, rpc=self.rpc, mounted=mounted_names, resolve_peer=peers.peer
            )
        #: What answers for resources: the app's own service, and that of operations.
        self.served = tuple(rpc for rpc in (self.rpc, self.operations) if rpc is not None)
        self.methods = {action: method for rpc in self.served for method, action in rpc.methods}
        names = sorted(mounted_names | {rpc.bound.full_name for rpc in self.served})
        self.names = tuple(names)
        self.readiness = readiness
        #: Made with the first server.
        self.health: HealthService | None = None

    def connect_app(self, service: str, *, max_bytes: int) -> ASGIApp | None:
        """Return what answers Connect and gRPC-Web for a service, None when it has no methods."""
        rpc = self.rpc if service == self.full_name else self.operations
        return rpc.connect_app(max_bytes=max_bytes) if rpc is not None else None

    def server(self, options: Sequence[tuple[str, Any]]) -> grpc.aio.Server:
        """Make the gRPC server; call it in the event loop that will run it."""
        from bali.app.grpc_server import make_server  # noqa: PLC0415 - HTTP alone needs no grpcio

        return make_server(self, options)


def find_service(proto: Any, name: str) -> ServiceDescriptor:
    """Return the service of a compiled proto: a descriptor itself, or a `*_pb2` module.

    Raises `ConfigurationError` when the module has no service of this name, or is no such module.
    """
    if isinstance(proto, ServiceDescriptor):
        return proto
    file = getattr(proto, "DESCRIPTOR", None)
    services = getattr(file, "services_by_name", None)
    where = getattr(proto, "__name__", repr(proto))
    if services is None:
        raise ConfigurationError(
            f"proto={where} is not a module that protoc wrote; pass the module `user_pb2`"
        )
    if name in services:
        return services[name]  # type: ignore[no-any-return]  # a mapping of the C extension
    if len(services) == 1:
        return next(iter(services.values()))  # type: ignore[no-any-return]  # the same
    raise ConfigurationError(
        f"{where} has no service {name}, only {', '.join(sorted(services)) or 'messages'}; pass "
        f"service= with the name to use"
    )


def adder_of(servicer: Any) -> AddToServer:
    """Return the `add_..._to_server` function that protoc wrote for a servicer's base class.

    Raises `ConfigurationError` for an object whose class has no such base.
    """
    for cls in type(servicer).__mro__:
        module = sys.modules.get(cls.__module__)
        adder = getattr(module, f"add_{cls.__name__}_to_server", None)
        if callable(adder):
            return adder  # type: ignore[no-any-return]  # protoc's modules are untyped
    raise ConfigurationError(
        f"{type(servicer).__qualname__} is not a gRPC servicer; derive it from the class that "
        "protoc wrote, as in `class UserService(user_pb2_grpc.UserServiceServicer)`"
    )


def service_names(servicer: Any) -> tuple[str, ...]:
    """Return the full names of the services that a servicer answers."""
    recorder = _Recorder()
    adder_of(servicer)(servicer, recorder)
    return tuple(recorder.names)


class _Recorder:
    """Stands in for a server to learn which services a servicer adds."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def add_generic_rpc_handlers(self, handlers: Sequence[Any]) -> None:
        self.names.extend(handler.service_name() for handler in handlers)

    def add_registered_method_handlers(self, service_name: str, handlers: Any) -> None:
        del service_name, handlers
