"""The command as a user runs it: a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest


def bali(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from bali_cli.main import main; main()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_version_names_both_distributions() -> None:
    result = bali("--version")
    expected = f"bali-cli {version('bali-cli')}, bali-core {version('bali-core')}\n"
    assert (result.returncode, result.stdout) == (0, expected)


def test_help_lists_the_commands() -> None:
    result = bali("--help")
    assert result.returncode == 0
    assert "run" in result.stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    result = bali("walk")
    assert result.returncode == 2
    assert "walk" in result.stderr
    assert not result.stdout


@pytest.mark.parametrize(("option", "value"), [("--port", "65536"), ("--workers", "0")])
def test_a_number_out_of_range_is_a_usage_error_of_this_command(option: str, value: str) -> None:
    result = bali("run", option, value)
    assert result.returncode == 2
    assert "Usage: bali run" in result.stderr.replace("-c run", "bali run")
    assert option in result.stderr


def test_help_loads_no_server_library() -> None:
    code = (
        "import sys\n"
        "from bali_cli.main import app\n"
        "heavy = {'fastapi', 'grpc', 'uvicorn', 'sqlalchemy', 'bali.app'}\n"
        "sys.exit(f'loaded: {heavy & set(sys.modules)}' if heavy & set(sys.modules) else 0)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def commands() -> list[str]:
    shown = bali("--help").stdout
    section = shown[shown.index("Commands") :]
    return re.findall(r"^│ ([a-z]+)", section, re.MULTILINE)


def test_every_command_is_in_the_readme_and_shows_an_example() -> None:
    readme = (Path(__file__).parents[2] / "bali-cli" / "README.md").read_text()
    found = commands()
    assert {"new", "build", "check", "publish", "add", "outdated", "update", "run"} <= set(found)
    assert {"routes", "shell", "db"} <= set(found)
    for name in found:
        assert f"`bali {name}" in readme
        shown = bali(name, "--help").stdout
        assert shown.count(f"bali {name}") >= 1, shown  # the usage line says `python -c`
