"""Resources as a service: on grpc.aio, and over Connect and gRPC-Web.

What either needs of its library is loaded when it is asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.types import ASGIApp

from bali.proto import BoundMethod, BoundService
from bali.resources import ActionSpec, Pipeline, ResourceSpec
from bali.rpc.calls import DirectPeer, PeerResolver

if TYPE_CHECKING:
    import grpc

__all__ = ["RpcService"]


class RpcService:
    """Answers the methods of a bound service through the pipeline."""

    def __init__(
        self,
        bound: BoundService,
        specs: Sequence[ResourceSpec],
        pipeline: Pipeline,
        *,
        resolve_peer: PeerResolver = DirectPeer,
    ) -> None:
        actions = {
            action.rpc_name: action
            for spec in specs
            for action in spec.actions
            if action.rpc_name and action.rpc_service in (None, bound.full_name)
        }
        self.bound = bound
        self.pipeline = pipeline
        self.resolve_peer = resolve_peer
        self.methods: tuple[tuple[BoundMethod, ActionSpec], ...] = tuple(
            (method, actions[method.name]) for method in bound.methods
        )

    def generic_handler(self) -> grpc.GenericRpcHandler:
        """Return the handler to add to a `grpc.aio` server."""
        from bali.rpc.handlers import generic_handler  # noqa: PLC0415 - HTTP alone needs no grpcio

        return generic_handler(self)

    def connect_app(self, *, max_bytes: int = 4 * 1024 * 1024) -> ASGIApp:
        """Return what answers Connect and gRPC-Web on `POST /{service}/{method}`.

        A message has at most `max_bytes`, also after decompression.
        """
        from bali.rpc.connect import ConnectService  # noqa: PLC0415 - most services are not asked

        return ConnectService(self.bound, self.methods, self.pipeline, max_bytes=max_bytes).app
