"""The git program as commands run it: errors in git's words, and always an end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

from bali_cli.git import attempt_git, git, is_url, without_secrets
from bali_cli.proto_repo import ProtoRepo
from tests.cli.repos import USER, Repos


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_a_failure_has_gits_own_words_and_the_command(
    repos: Repos, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit):
        git("rev-parse", "--verify", "nowhere", folder=repos.make())
    message = capsys.readouterr().err
    assert "fatal: Needed a single revision" in message
    assert "git rev-parse --verify nowhere" in message


def test_no_git_is_a_message_of_its_own(
    repos: Repos, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = repos.make()
    monkeypatch.setenv("PATH", str(repos.folder))
    with pytest.raises(typer.Exit):
        ProtoRepo.open(str(folder))
    assert "git is not installed" in capsys.readouterr().err


@pytest.mark.parametrize(
    "address", ["https://127.0.0.1:1/x.git", "ssh://git@127.0.0.1:1/x.git", "git://127.0.0.1:1/x"]
)
def test_nobody_at_the_address_is_told(
    repos: Repos, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    with pytest.raises(typer.Exit):
        ProtoRepo.open(address)
    message = capsys.readouterr().err
    assert f"cannot read the repo {address}: git says" in message


def test_an_address_that_never_answers_ends_by_time(
    repos: Repos,
    silent_port: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BALI_GIT_TIMEOUT", "0.5")
    with pytest.raises(typer.Exit):
        ProtoRepo.open(f"http://127.0.0.1:{silent_port}/x.git")
    assert "git gave no answer within 0.5 seconds" in capsys.readouterr().err


@pytest.mark.parametrize("wanted", ["soon", "0", "-1", "nan", "inf"])
def test_a_bound_that_is_none_is_refused(
    repos: Repos,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    wanted: str,
) -> None:
    monkeypatch.setenv("BALI_GIT_TIMEOUT", wanted)
    with pytest.raises(typer.Exit):
        git("version")
    assert "BALI_GIT_TIMEOUT" in capsys.readouterr().err


def test_a_password_is_never_shown(repos: Repos, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        ProtoRepo.open("https://ann:hunter2@127.0.0.1:1/x.git")
    message = capsys.readouterr().err
    assert "hunter2" not in message
    assert "https://***@127.0.0.1:1/x.git" in message


def test_an_address_cannot_run_a_program(repos: Repos, capsys: pytest.CaptureFixture[str]) -> None:
    for address in ("ext::touch pwned", f"--upload-pack=touch {repos.folder}/pwned"):
        with pytest.raises(typer.Exit):
            ProtoRepo.open(address)
    assert not list(repos.folder.rglob("pwned"))
    assert not Path("pwned").exists()


def test_a_repository_cannot_run_a_program(repos: Repos) -> None:
    folder = repos.make()
    repos.commit(folder, {"user/user.proto": USER})
    program = folder / "program"
    program.write_text(f"#!/bin/sh\ntouch {repos.folder}/pwned\n")
    program.chmod(0o755)
    repos.git(folder, "config", "core.fsmonitor", str(program))
    git("status", "--porcelain", folder=folder)
    assert not (repos.folder / "pwned").exists()


def test_the_repository_of_a_git_that_runs_us_is_not_meant(
    repos: Repos, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = repos.make("one"), repos.make("other")
    monkeypatch.setenv("GIT_DIR", str(one / ".git"))
    assert git("rev-parse", "--absolute-git-dir", folder=other) == str(other / ".git")


def test_words_are_english_and_paths_are_plain(
    repos: Repos, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("LANGUAGE", "de")
    folder = repos.make()
    (folder / "größe").touch()
    assert attempt_git("status", "--porcelain", folder=folder).text == "?? größe"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("https://host/x.git", True),
        ("ssh://git@host/x", True),
        ("file:///x", True),
        ("git@host:team/x.git", True),
        ("host:x", True),
        ("../proto", False),
        ("/srv/proto", False),
        ("~/proto", False),
        ("C:", False),
        ("a/b:c", False),
        ("proto", False),
    ],
)
def test_an_address_is_told_from_a_path(source: str, expected: bool) -> None:
    assert is_url(source) is expected


def test_secrets_are_hidden_in_http_addresses_alone() -> None:
    text = "https://a:b@host/x http://tok@host ssh://git@host/x https://host/a@b"
    hidden = "https://***@host/x http://***@host ssh://git@host/x https://host/a@b"
    assert without_secrets(text) == hidden
