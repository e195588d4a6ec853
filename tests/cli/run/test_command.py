"""`bali run` in folders of services, good and bad: in processes of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.programs import run_bali

COMMAND = [sys.executable, "-m", "bali_cli", "run"]

SERVICE = """
from bali import Bali, Resource, action


class GreetingResource(Resource):
    @action()
    async def greet(self, name: str) -> str:
        return f"hello {name}"


app = Bali(title="greeting", resources=[GreetingResource])

if __name__ == "__main__":
    app.start()
"""


def run(folder: Path, arguments: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    return run_bali(folder, "run", *arguments, env=os.environ)


@pytest.mark.parametrize("protocol", [[], ["http"]], ids=["all", "http"])
def test_serves_the_app_of_main(tmp_path: Path, protocol: list[str], free_port: int) -> None:
    (tmp_path / "main.py").write_text(SERVICE)
    command = [*COMMAND, *protocol, "--port", str(free_port)]
    env = {**os.environ, "BALI_DRAIN_DELAY_SECONDS": "0"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=env, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert fetch(process, free_port) == {"result": "hello ann"}
            process.send_signal(signal.SIGTERM)
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors
        finally:
            process.kill()


def fetch(process: subprocess.Popen[str], port: int) -> object:
    """Ask once the server accepts connections; a server that ended fails the test."""
    url = f"http://127.0.0.1:{port}/greetings/greet?name=ann"
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as response:
                return json.load(response)
        except OSError:
            if process.poll() is not None:
                assert process.stderr is not None
                pytest.fail(f"the server ended: {process.stderr.read()}")
            time.sleep(0.05)


def test_without_main_says_where_to_run_it(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.returncode == 1
    assert result.stdout == ""
    assert result.stderr == (
        f"error: there is no main.py in {tmp_path}.\n"
        "Run this command in the folder of a service, beside its main.py.\n"
    )


def test_a_missing_import_shows_the_users_own_line(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from models import User\n")
    (tmp_path / "models.py").write_text("\nimport no_such_package\n")
    result = run(tmp_path)
    assert result.returncode == 1
    assert result.stderr == (
        "error: main.py failed to import no_such_package.\n"
        f"{tmp_path / 'models.py'}:2\n"
        "    import no_such_package\n"
        "ModuleNotFoundError: No module named 'no_such_package'\n"
    )


def test_an_error_inside_a_library_points_at_the_line_that_called_it(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text('import json\n\nlimits = json.loads("{")\n')
    result = run(tmp_path)
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[:3] == [
        "error: main.py failed.",
        f"{tmp_path / 'main.py'}:3",
        '    limits = json.loads("{")',
    ]
    assert lines[3].startswith("json.decoder.JSONDecodeError: ")
    assert len(lines) == 4


def test_a_syntax_error_shows_its_line(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from models import User\n")
    (tmp_path / "models.py").write_text("class User\n")
    result = run(tmp_path)
    assert result.returncode == 1
    assert result.stderr == f"error: {tmp_path / 'models.py'}:1: expected ':'\n    class User\n"


def test_a_service_that_bali_refuses_says_why(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "from bali import ConfigurationError\n\nraise ConfigurationError('two names clash')\n"
    )
    result = run(tmp_path)
    assert result.returncode == 1
    assert result.stderr == (
        f"error: {tmp_path / 'main.py'}:3\n"
        "    raise ConfigurationError('two names clash')\n"
        "the service is not right: two names clash\n"
    )


def test_main_without_an_app_is_told_how_to_get_one(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("service = 1\n")
    result = run(tmp_path)
    assert result.returncode == 1
    assert "has no `app`" in result.stderr


def test_an_app_of_another_kind_is_refused(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from fastapi import FastAPI\n\napp = FastAPI()\n")
    result = run(tmp_path)
    assert result.returncode == 1
    assert "is FastAPI, not Bali" in result.stderr


def test_an_unknown_protocol_is_a_usage_error(tmp_path: Path) -> None:
    result = run(tmp_path, ["soap"])
    assert result.returncode == 2
    assert "soap" in result.stderr


@pytest.mark.parametrize("arguments", [[], ["http", "--port", "0"]])
def test_a_start_that_is_not_guarded_is_told_where_it_belongs(
    tmp_path: Path, arguments: list[str]
) -> None:
    (tmp_path / "main.py").write_text(
        'from bali import Bali\n\napp = Bali(title="greeting")\napp.start()\n'
    )
    done = run(tmp_path, arguments)
    assert done.returncode == 1
    assert "main.py:4\n    app.start()\n" in done.stderr
    assert '`if __name__ == "__main__":`' in done.stderr
    assert "usage" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_main_that_ends_the_process_is_told(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("import sys\n\nsys.exit(0)\n")
    done = run(tmp_path)
    assert done.returncode == 1
    assert "main.py:3\n    sys.exit(0)\n" in done.stderr
    assert "ended the process with 0 while it was imported" in done.stderr


def test_events_that_do_not_exist_yet_are_told_in_a_line(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SERVICE)
    done = run(tmp_path, ["event"])
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "no events yet" in done.stderr
