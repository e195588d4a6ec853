"""The gRPC service of an app's long-running operations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from google.protobuf import descriptor_pool

from bali.operations import OperationDesk, OperationResource, bind_operations
from bali.proto import BoundOperation, bind_operation
from bali.resources import ActionSpec, Pipeline, ResourceSpec
from bali.rpc import RpcService, metadata_of
from bali.rpc.calls import PeerResolver

__all__ = ["operations_service"]


def operations_service(
    desk: OperationDesk,
    specs: Sequence[ResourceSpec],
    pipeline: Pipeline,
    *,
    rpc: RpcService | None,
    mounted: Iterable[str],
    resolve_peer: PeerResolver,
) -> RpcService:
    """Return what answers for operations, and tell the desk the messages that they carry.

    `rpc` is the app's own service, `mounted` names those of its servicers.
    """
    desk.bind(_operations_of(specs, rpc, mounted))
    pool = rpc.bound.pool if rpc is not None else descriptor_pool.Default()
    operations = [spec for spec in specs if issubclass(spec.resource, OperationResource)]
    bound = bind_operations(desk.actions, pool)
    return RpcService(bound, operations, pipeline, resolve_peer=resolve_peer)


def _operations_of(
    specs: Sequence[ResourceSpec], rpc: RpcService | None, mounted: Iterable[str]
) -> dict[ActionSpec, BoundOperation]:
    """Return the messages of the long-running actions: of our methods, and of servicers' ones."""
    bound = rpc.methods if rpc is not None else ()
    found = {action: method.operation for method, action in bound if method.operation is not None}
    for name in mounted:
        try:
            methods = descriptor_pool.Default().FindServiceByName(name).methods_by_name
        except KeyError:
            continue
        for action in (action for spec in specs for action in spec.actions):
            method = methods.get(action.rpc_name or "")
            if action.work is not None and method is not None and action not in found:
                found[action] = bind_operation(action.work.response, metadata_of(action), method)
    return found
