"""The gRPC server of an app, with all that it answers."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from bali.concurrency import MAX_THREADS
from bali.rpc import Boundary, HealthService, add_reflection, mount_servicer
from bali.server.grpc_acceptor import accepting_server

if TYPE_CHECKING:
    import grpc

    from bali.app.services import Services

__all__ = ["make_server"]


def make_server(services: Services, options: Sequence[tuple[str, Any]]) -> grpc.aio.Server:
    """Make the server of an app's services; call it in the event loop that will run it."""
    server = accepting_server(
        options=list(options),
        migration_thread_pool=ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="bali-rpc"),
    )
    for rpc in services.served:
        server.add_generic_rpc_handlers((rpc.generic_handler(),))
    inside = Boundary(services.pipeline, resolve_peer=services.peers.peer).inside(server)
    for add_to_server, servicer in services.servicers:
        mount_servicer(inside, add_to_server, servicer)
    if services.health is None:
        services.health = HealthService(services.readiness, services=services.names)
    services.health.add_to(inside)
    bound = [rpc.bound for rpc in services.served]
    mounted = [name for names in services.mounted for name in names]
    add_reflection(inside, bound, extra_service_names=mounted)
    return server
