"""Which thread reads what gRPC's servers are sent; seen in the sources that its core logs from."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from bali import _grpc_polling

CALL = """
import asyncio, os
import grpc

async def echo(request, context):
    return request

async def main():
    server = grpc.aio.server()
    handlers = {"E": grpc.unary_unary_rpc_method_handler(echo)}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("t", handlers)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await channel.unary_unary("/t/E")(b"x") == b"x"
    await server.stop(0)

asyncio.run(main())
print(os.environ.get("GRPC_EXPERIMENTS"))
"""
#: What the core logs of each connection that is read in the thread that waits.
READ_WHERE_IT_WAITS = "tcp_posix.cc"
TRACED = {"GRPC_VERBOSITY": "debug", "GRPC_TRACE": "tcp"}


def run(code: str, **variables: str) -> tuple[str, str]:
    """Run a program of its own; return what it wrote to stdout and stderr."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("GRPC_")}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, **variables},
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    return done.stdout.strip(), done.stderr


def test_the_thread_that_waits_reads() -> None:
    output, log = run(f"import bali\n{CALL}", **TRACED)
    assert READ_WHERE_IT_WAITS in log
    assert output == "None"  # nothing that programs which are started would inherit


def test_without_bali_it_does_not() -> None:
    _, log = run(CALL, **TRACED)
    assert READ_WHERE_IT_WAITS not in log


def test_a_core_that_is_loaded_stays_as_it_is() -> None:
    _, log = run(f"import grpc, bali\n{CALL}", **TRACED)
    assert READ_WHERE_IT_WAITS not in log


def test_the_choice_of_whoever_starts_the_program_holds() -> None:
    output, log = run(f"import bali\n{CALL}", GRPC_EXPERIMENTS="", **TRACED)
    assert READ_WHERE_IT_WAITS not in log
    assert output == ""


def test_this_version_of_grpc_has_the_choice() -> None:
    """Otherwise it must be measured anew whether a newer one has it, and what it saves."""
    assert _grpc_polling._is_known()
    assert run("import bali, grpc") == ("", "")
    assert "Unknown experiment" in run("import grpc", GRPC_EXPERIMENTS="-no_such_choice")[1]


@pytest.mark.parametrize("version", ["1.79.2", "1.86.0", "2.0", "1.85+local.1", "x", "1"])
def test_a_version_that_was_not_measured_is_left_alone(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _name: version)
    assert not _grpc_polling._is_known()
