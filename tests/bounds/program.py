"""A service in a process of its own, so that its memory can be read.

`python program.py MAX_BODY_BYTES`: its action `peak` tells the most memory it ever used.
"""

from __future__ import annotations

import asyncio
import re
import sys
from pathlib import Path

from bali import Bali, Resource, action
from bali.server import Limits, ServerOptions, run
from bali.settings import Settings, Stage

_KIBIBYTE = 1024


class MemoryResource(Resource):
    """Takes texts."""

    @action(methods=["post"])
    async def measure(self, text: str) -> int:
        """Return the length of a text."""
        return len(text)

    @action()
    async def peak(self) -> int:
        """Return the most memory that this process ever had, in bytes.

        Not `getrusage`: what that tells begins with the parent's.
        """
        status = await asyncio.to_thread(Path("/proc/self/status").read_text, encoding="ascii")
        found = re.search(r"VmHWM:\s*(\d+) kB", status)
        assert found is not None
        return int(found[1]) * _KIBIBYTE


def main() -> int:
    max_bytes = int(sys.argv[1])
    app = Bali(
        title="memory",
        resources=[MemoryResource],
        settings=Settings(stage=Stage.TEST, max_body_bytes=max_bytes),
    )
    options = ServerOptions(
        port=0,
        drain_delay_seconds=0.0,
        limits=Limits(max_body_bytes=max_bytes, max_message_bytes=max_bytes),
    )
    return run(lambda: app.server(options), options)


if __name__ == "__main__":
    sys.exit(main())
