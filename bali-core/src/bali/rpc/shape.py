"""What resources offer over gRPC, before it is bound to messages."""

from __future__ import annotations

from collections.abc import Sequence

from bali.proto import HttpRule, Method, ServiceShape
from bali.resources import ActionSpec, ResourceSpec
from bali.schemas import Record

__all__ = ["metadata_of", "shape_of"]


def shape_of(specs: Sequence[ResourceSpec], *, package: str, service: str) -> ServiceShape:
    """Return the shape of the one service that offers every action with a gRPC name."""
    return ServiceShape(
        package=package,
        name=service,
        file_name=f"{package.replace('.', '/')}/{package.rpartition('.')[2]}.proto",
        methods=tuple(
            Method(
                name=action.rpc_name,
                request=action.request,
                response=action.work.response if action.work else action.response,
                metadata=metadata_of(action),
                is_server_streaming=action.is_streaming,
                description=action.description,
                http=tuple(
                    HttpRule(method=rule.method, path=rule.path, body=rule.body or "")
                    for rule in action.bindings
                ),
            )
            for spec in specs
            for action in spec.actions
            if action.rpc_name and action.rpc_service is None
        ),
        description="\n\n".join(
            spec.description
            for spec in specs
            if spec.description and any(action.rpc_service is None for action in spec.actions)
        ),
    )


def metadata_of(action: ActionSpec) -> Record | None:
    """Return the tree of what a long-running action's operations tell of themselves."""
    if action.work is None or action.response is None:
        return None
    found = action.response.field("metadata")
    return found.node if found is not None and isinstance(found.node, Record) else None
