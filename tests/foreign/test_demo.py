"""The demonstration that `make demo` runs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "user"


def demo(folder: Path) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(folder / "demo.py")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "CHECK": "1"},
    )
    return done.returncode, done.stdout + done.stderr


def test_it_calls_every_protocol_and_ends_by_itself() -> None:
    code, output = demo(EXAMPLE)
    assert code == 0, output
    assert "WRONG" not in output
    for protocol in ("REST", "gRPC, on the same port", "Connect and gRPC-Web", "/docs"):
        assert protocol in output


def test_it_fails_when_an_answer_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "user"
    shutil.copytree(EXAMPLE, folder)
    main = folder / "main.py"
    broken = main.read_text().replace('order_by="age"', 'order_by="-age"')
    assert broken != main.read_text()
    main.write_text(broken)
    code, output = demo(folder)
    assert code != 0
    assert "WRONG" in output
