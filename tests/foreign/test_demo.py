"""The demonstration that `make demo` runs."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "user"


def demo(folder: Path, port: int) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(folder / "demo.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "CHECK": "1", "PORT": str(port)},
    )
    return done.returncode, done.stdout + done.stderr


def test_it_calls_every_protocol_and_ends_by_itself(free_port: int) -> None:
    code, output = demo(EXAMPLE, free_port)
    assert code == 0, output
    assert "WRONG" not in output
    for protocol in ("REST", "gRPC, on the same port", "Connect and gRPC-Web", "/docs"):
        assert protocol in output


def test_it_fails_when_an_answer_is_wrong(tmp_path: Path, free_port: int) -> None:
    folder = tmp_path / "user"
    shutil.copytree(EXAMPLE, folder)
    main = folder / "main.py"
    broken = main.read_text().replace('order_by="age"', 'order_by="-age"')
    assert broken != main.read_text()
    main.write_text(broken)
    code, output = demo(folder, free_port)
    assert code != 0
    assert "WRONG" in output


def test_it_takes_another_port_when_its_own_is_taken() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        code, output = demo(EXAMPLE, taken)
    assert code == 0, output
    found = re.search(rf"port {taken} is taken, using (\d+)", output)
    assert found is not None, output
    assert f"http://127.0.0.1:{found[1]}/docs" in output


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_stays_up_until_it_is_stopped(number: int, free_port: int) -> None:
    kept = {key: value for key, value in os.environ.items() if key != "CHECK"}
    environment = {**kept, "PORT": str(free_port)}
    with subprocess.Popen(
        [sys.executable, "-u", str(EXAMPLE / "demo.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            seen = []
            for line in process.stdout:
                seen.append(line)
                if "Ctrl-C stops it" in line:
                    break
            found = re.search(r"The service is up at http://127\.0\.0\.1:(\d+)", "".join(seen))
            assert found is not None, "".join(seen)
            port = int(found[1])
            socket.create_connection(("127.0.0.1", port), 5).close()
            os.killpg(process.pid, number)  # as a terminal does: to every process of the group
            rest = process.stdout.read()
            assert process.wait(60) == 0, "".join(seen) + rest
        finally:
            process.kill()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 5)
