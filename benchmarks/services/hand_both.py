"""Both services by hand in one process: what memory and start-up are compared with."""

import asyncio
import contextlib
import sys

import uvicorn
import uvloop

from benchmarks.services import hand_rest, hand_rpc


async def main(port: int, rpc_port: int) -> None:
    """Serve REST and gRPC, each on its port, until killed."""
    rpc_server = await hand_rpc.start(rpc_port)
    config = uvicorn.Config(
        hand_rest.app, port=port, http="httptools", log_level="warning", access_log=False
    )
    with contextlib.suppress(asyncio.CancelledError):
        await uvicorn.Server(config).serve()
    await rpc_server.stop(None)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[2]), int(sys.argv[4])))
