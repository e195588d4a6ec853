"""A command that was forked is the same as one that was started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.programs import LIBRARIES, run_bali

SERVICE = """
import atexit, json, os, signal, sys, time, warnings
from pathlib import Path
from bali import AllowAny, Bali, Resource, action

def tell():
    found = {
        "env": dict(os.environ), "path": sys.path, "arguments": sys.argv[1:], "folder": os.getcwd(),
        "zone": time.tzname, "warnings": [str(item) for item in warnings.filters],
        "streams": [
            [it.fileno(), it.encoding, it.errors, it.isatty()] for it in (sys.stdout, sys.stderr)
        ],
        "read": sys.stdin.read(), "interrupts": str(signal.getsignal(signal.SIGINT)),
        "tests": [name for name in sys.modules if name.startswith(("tests", "_pytest"))],
    }
    Path("told.json").write_text(json.dumps(found))

atexit.register(tell)

class GreetingResource(Resource):
    permission_classes = [AllowAny]

    @action()
    async def greet(self) -> str:
        return ""

app = Bali(title="greeting", resources=[GreetingResource])
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(SERVICE)
    return tmp_path


def test_it_has_what_a_program_has(service: Path) -> None:
    env = {**os.environ, "TZ": "Asia/Tokyo", "COLUMNS": "70"}
    command = [sys.executable, "-m", "bali_cli", "routes", "--json"]
    started = subprocess.run(
        command, cwd=service, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    wanted = json.loads((service / "told.json").read_text())
    forked = run_bali(service, "routes", "--json", env=env)
    told = json.loads((service / "told.json").read_text())
    assert (forked.returncode, forked.stdout, forked.stderr) == (0, started.stdout, started.stderr)
    assert told == wanted
    assert told["zone"][0] == "JST"
    assert told["tests"] == []


def test_it_fails_as_a_program_does(service: Path) -> None:
    assert run_bali(service, "walk", env=os.environ).returncode == 2
    refused = run_bali(service, "db", "upgrade", env=os.environ)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("error: ")


def test_warnings_are_errors_where_that_is_asked_for(service: Path) -> None:
    main = service / "main.py"
    main.write_text(main.read_text() + "\nwarnings.warn('mind this')\n")
    assert run_bali(service, "routes", env=os.environ).returncode == 0
    assert "mind this" in run_bali(service, "routes", env=os.environ, is_strict=True).stderr


def test_one_that_does_not_end_is_killed(service: Path) -> None:
    (service / "main.py").write_text("import time\ntime.sleep(1000)\n")
    with pytest.raises(subprocess.TimeoutExpired):
        run_bali(service, "routes", env=os.environ, timeout=2)


def test_the_libraries_are_there() -> None:
    """One that is not would be left out without a word."""
    assert [name for name in LIBRARIES if find_spec(name) is None] == []
