"""No call is lost while two instances are restarted in turn."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.restart import Fleet, rolling

SERVICE = """
from bali import Bali, Resource

class EchoResource(Resource):

    async def get(self, pk: int) -> str:
        return str(pk)

app = Bali(title="echo", resources=[EchoResource])

if __name__ == "__main__":
    app.start()
"""


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    (tmp_path / "main.py").write_text(SERVICE)

    def start(port: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "main.py", "--port", str(port)],
            cwd=tmp_path,
            env={**os.environ, "BALI_DRAIN_DELAY_SECONDS": "5"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    return Fleet(start=start)


def run(fleet: Fleet, calls: int, number: int) -> dict[str, list[str]]:
    fleet.open(2)
    try:
        return asyncio.run(
            rolling(
                fleet,
                calls,
                rest="/echos/7",
                connect="/echo.EchoService/GetEcho",
                grpc_call=("/echo.EchoService/GetEcho", b"\x08\x07"),
                number=number,
            )
        )
    finally:
        fleet.close()


@pytest.mark.slow
def test_sigterm_loses_no_call(fleet: Fleet) -> None:
    failed = run(fleet, 1500, signal.SIGTERM)
    assert failed == {"REST": [], "gRPC": [], "Connect": []}
    assert fleet.restarts >= 1
    assert fleet.bad_exits == []


@pytest.mark.slow
def test_a_kill_loses_calls(fleet: Fleet) -> None:
    failed = run(fleet, 1500, signal.SIGKILL)
    assert any(failed.values())
