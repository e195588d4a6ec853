"""A service is written whole or not at all."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bali_cli.new.folder import BadTarget, check_target, staged
from tests.cli.new.generated import tree

FILES = {"main.py": b"app\n", "models/user.py": b"", ".github/ci.yml": b"on: push\n"}


def write(target: Path, meanwhile: Callable[[Path], object] = str) -> None:
    """Write the files; `meanwhile` is called with their folder before it becomes the target."""
    check_target(target)
    with staged(target, FILES) as folder:
        meanwhile(folder)


def test_a_new_folder_is_made(tmp_path: Path) -> None:
    write(tmp_path / "user")
    assert tree(tmp_path / "user") == FILES
    assert list(tmp_path.iterdir()) == [tmp_path / "user"]


def test_its_mode_is_that_of_any_new_folder(tmp_path: Path) -> None:
    write(tmp_path / "user")
    (tmp_path / "other").mkdir()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("user", "other")}
    assert len(modes) == 1


def test_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "user").mkdir()
    write(tmp_path / "user")
    assert tree(tmp_path) == {f"user/{path}": content for path, content in FILES.items()}


def test_the_current_folder_stays_the_same_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path.cwd())
    assert Path("main.py").is_file()


def test_a_repository_without_files_is_as_good_as_empty(tmp_path: Path) -> None:
    (tmp_path / "user" / ".git").mkdir(parents=True)
    (tmp_path / "user" / ".git" / "HEAD").write_text("ref: refs/heads/main\n")
    write(tmp_path / "user")
    assert set(tree(tmp_path / "user")) == {".git/HEAD", *FILES}


@pytest.mark.parametrize("found", ["notes.txt", ".env"])
def test_a_folder_with_something_in_it_is_refused(tmp_path: Path, found: str) -> None:
    (tmp_path / "user").mkdir()
    (tmp_path / "user" / found).write_text("mine")
    with pytest.raises(BadTarget, match=f"is not empty: it has {found}"):
        write(tmp_path / "user")
    assert tree(tmp_path) == {f"user/{found}": b"mine"}


def test_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "user").write_text("mine")
    with pytest.raises(BadTarget, match="is a file"):
        write(tmp_path / "user")
    assert tree(tmp_path) == {"user": b"mine"}


def test_a_parent_that_is_missing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadTarget, match="services does not exist"):
        write(tmp_path / "services" / "user")
    assert tree(tmp_path) == {}


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "services").write_text("mine")
    with pytest.raises(BadTarget, match="services is not a folder"):
        write(tmp_path / "services" / "user")


@pytest.mark.parametrize("exists", [False, True], ids=["new", "empty"])
def test_a_failure_half_way_leaves_nothing(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "user"
    if exists:
        target.mkdir()

    def fail(folder: Path) -> None:
        (folder / "protos").mkdir()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(target, meanwhile=fail)
    assert list(tmp_path.rglob("*")) == ([target] if exists else [])


@pytest.mark.parametrize("exists", [False, True], ids=["new", "empty"])
def test_what_somebody_else_wrote_meanwhile_stays(tmp_path: Path, exists: bool) -> None:
    target = tmp_path / "user"
    if exists:
        target.mkdir()

    def somebody_else(_: Path) -> None:
        target.mkdir(exist_ok=True)
        (target / "main.py").write_text("theirs")

    with pytest.raises(BadTarget, match="is not empty"):
        write(target, meanwhile=somebody_else)
    assert tree(tmp_path) == {"user/main.py": b"theirs"}


def test_two_at_once_are_one_service_and_one_refusal(tmp_path: Path) -> None:
    target = tmp_path / "user"
    with pytest.raises(BadTarget):
        write(target, meanwhile=lambda _: write(target))
    assert tree(tmp_path) == {f"user/{path}": content for path, content in FILES.items()}
