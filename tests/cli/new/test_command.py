"""`bali new` as its users run it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.new.generated import bali, environment, run, tree


def test_the_folder_is_the_result_and_the_rest_is_told_beside_it(tmp_path: Path) -> None:
    result = bali(tmp_path, "new", "user")
    assert (result.returncode, result.stdout) == (0, f"{tmp_path / 'user'}\n")
    for step in ("cd user", "bali build", "pip install -r requirements_dev.txt", "python main.py"):
        assert step in result.stderr
    assert (tmp_path / "user" / "main.py").is_file()
    assert list(tmp_path.iterdir()) == [tmp_path / "user"]


def test_the_folder_may_be_another_one(tmp_path: Path) -> None:
    result = bali(tmp_path, "new", "user", "--directory", "my services")
    assert (result.returncode, result.stdout) == (0, f"{tmp_path / 'my services'}\n")
    assert "cd 'my services'" in result.stderr
    assert (tmp_path / "my services" / "models" / "user.py").is_file()


def test_the_current_folder_may_be_the_one(tmp_path: Path) -> None:
    result = bali(tmp_path, "new", "user", "--directory", ".")
    assert (result.returncode, result.stdout) == (0, f"{tmp_path}\n")
    assert (tmp_path / "main.py").is_file()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("..", "is no name for a service"),
        ("../user", "is no name for a service"),
        ("/tmp/user", "is no name for a service"),  # noqa: S108 - a name that is a path
        ("User", "Perhaps `user`?"),
        ("üser", "is no name for a service"),
        ("1user", "is no name for a service"),
        ("us\ner", "is no name for a service"),
        ("", "the name of the service is empty"),
        ("a" * 64, "the name has 64 characters"),
        ("class", "is a keyword of Python"),
        ("json", "is a module of Python's standard library"),
        ("fastapi", "is a package that the service needs"),
        ("test", "is what every service calls a part of its own"),
        ("models", "is what every service calls a part of its own"),
    ],
)
@pytest.mark.parametrize("kind", [(), ("--proto-first",)], ids=["code-first", "proto-first"])
def test_a_bad_name_is_refused_in_one_line(
    tmp_path: Path, name: str, reason: str, kind: tuple[str, ...]
) -> None:
    result = bali(tmp_path, "new", *kind, "--", name)
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert reason in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_bad_name_is_refused_wherever_it_would_be_written(tmp_path: Path) -> None:
    result = bali(tmp_path, "new", "..", "--directory", "user")
    assert (result.returncode, list(tmp_path.iterdir())) == (1, [])


def test_a_folder_with_something_in_it_stays_as_it_is(tmp_path: Path) -> None:
    assert bali(tmp_path, "new", "user").returncode == 0
    (tmp_path / "user" / "main.py").write_text("changed\n")
    former = tree(tmp_path)
    result = bali(tmp_path, "new", "user")
    assert (result.returncode, result.stdout) == (1, "")
    assert "is not empty" in result.stderr
    assert "--directory" in result.stderr
    assert tree(tmp_path) == former


def test_a_file_in_the_way_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "user").write_text("mine")
    result = bali(tmp_path, "new", "user")
    assert result.returncode == 1
    reason = f"{tmp_path / 'user'} is a file; name another folder with --directory"
    assert result.stderr == f"error: {reason}\n"
    assert tree(tmp_path) == {"user": b"mine"}


def test_what_the_machine_refuses_is_told_in_one_line(tmp_path: Path) -> None:
    name = "a" * 300
    result = bali(tmp_path, "new", "user", "--directory", name)
    assert result.returncode == 1
    assert result.stderr.startswith("error: File name too long")
    assert result.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_the_name_is_needed(tmp_path: Path) -> None:
    result = bali(tmp_path, "new")
    assert result.returncode == 2
    assert "Missing argument" in result.stderr


def test_help_shows_how_it_is_used(tmp_path: Path) -> None:
    result = bali(tmp_path, "new", "--help")
    assert result.returncode == 0
    assert "bali new order-item --proto-first" in result.stdout


def test_help_of_all_commands_does_not_load_the_templates(tmp_path: Path) -> None:
    code = "import sys, bali_cli.main; sys.exit('jinja2' in sys.modules)"
    assert run([sys.executable, "-c", code], tmp_path, environment()).returncode == 0
