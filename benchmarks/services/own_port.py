"""bali's gRPC service on a plain grpc.aio port of its own: what the one port is compared with."""

import sys

import uvloop

from bali.server import Limits, grpc_server_options
from bali.server.scheduling import schedule_in_batches
from benchmarks.services.ours import app


async def main(port: int) -> None:
    """Serve until killed."""
    async with app.router.lifespan_context(app):
        server = app.services.server(grpc_server_options(Limits()))
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        await server.wait_for_termination()


if __name__ == "__main__":
    schedule_in_batches()
    uvloop.run(main(int(sys.argv[2])))
