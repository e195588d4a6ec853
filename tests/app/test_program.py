"""`python main.py ...`: what its arguments do, run as programs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import types
from bali import AllowAny, Bali, Resource, action

class PingResource(Resource):
    permission_classes = [AllowAny]

    @action()
    def ping(self) -> str:
        return "pong"

def serve():
    print("served")

app = Bali(title="ping", resources=[PingResource])
app.settings(rpc_service=types.SimpleNamespace(serve=serve))
if __name__ == "__main__":
    app.start()
"""


def run(
    folder: Path, *arguments: str, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run main.py from another folder than its own."""
    (folder / "service").mkdir()
    program = folder / "service" / "main.py"
    program.write_text(PROGRAM)
    return subprocess.run(
        [sys.executable, str(program), *arguments],
        cwd=folder,
        env={**os.environ, "NO_COLOR": "1", **variables},
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("arguments", [["--rpc"], ["run", "--rpc"]], ids=" ".join)
def test_rpc_runs_the_serve_of_the_service(tmp_path: Path, arguments: list[str]) -> None:
    done = run(tmp_path, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (0, "served\n", "")


@pytest.mark.parametrize("option", ["--port=1", "--rpc-port=1", "--host=::", "--workers=2"])
def test_what_serve_decides_itself_cannot_be_asked_for(tmp_path: Path, option: str) -> None:
    done = run(tmp_path, "--rpc", option)
    name = option.partition("=")[0]
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {name}: the serve() of rpc_service says itself where")
    assert done.stderr.count("\n") == 1


def test_db_is_that_of_the_command_line(tmp_path: Path) -> None:
    stand_in = tmp_path / "found" / "bali_cli"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").touch()
    (stand_in / "__main__.py").write_text(
        "import os, sys\nprint(sys.argv[1:], os.path.basename(os.getcwd()))\nsys.exit(3)\n"
    )
    done = run(tmp_path, "db", "migrate", "-m", "add age", PYTHONPATH=str(stand_in.parent))
    assert done.stdout == "['db', 'migrate', '-m', 'add age'] service\n"
    assert done.returncode == 3


def test_db_without_the_command_line_says_what_to_install(tmp_path: Path) -> None:
    hide = "import sys\nsys.modules['bali_cli'] = None\n"
    (tmp_path / "sitecustomize.py").write_text(hide)
    done = run(tmp_path, "db", "init", PYTHONPATH=str(tmp_path))
    message = "error: `db` needs the command line of bali: pip install bali-cli\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)


def test_shell_runs_code_with_the_names_at_hand(tmp_path: Path) -> None:
    code = "print(app.title, PingResource.__name__, (await call('pings.ping')).result, db)"
    done = run(tmp_path, "--shell", stdin=code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ping PingResource pong <")


def test_help_tells_all(tmp_path: Path) -> None:
    done = run(tmp_path, "--help")
    assert done.returncode == 0
    assert all(word in done.stdout for word in ("--http", "--rpc", "--port", "db init"))


def test_a_typing_mistake_is_a_usage_error(tmp_path: Path) -> None:
    done = run(tmp_path, "--htpp")
    assert (done.returncode, done.stdout) == (2, "")
    assert "unrecognized arguments: --htpp" in done.stderr
