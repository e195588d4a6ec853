"""The command line of `bali publish`: mistakes are told in a line, and nothing is written."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.cli.repos import Repos


def test_help_has_examples(repos: Repos) -> None:
    ran = repos.bali(repos.folder, "publish", "--help")
    assert "bali publish --branch user-v2" in ran.stdout


def test_without_a_repo_beside_the_option_is_named(repos: Repos) -> None:
    assert "Name it with --to" in repos.refused(repos.service(), "publish")


def test_a_folder_beside_that_is_no_repo_is_told(repos: Repos) -> None:
    (repos.folder / "proto").mkdir()
    assert "is not a git repo" in repos.refused(repos.service(), "publish")


def test_without_a_contract_bali_build_is_named(repos: Repos) -> None:
    repos.make()
    (repos.folder / "user").mkdir()
    assert "`bali build`" in repos.refused(repos.folder / "user", "publish")


def test_an_empty_message_is_refused(repos: Repos) -> None:
    repos.make()
    assert "--message is empty" in repos.refused(repos.service(), "publish", "--message", " \n")


@pytest.mark.parametrize(
    "address", ["https://127.0.0.1:1/x.git", "https://ann:hunter2@127.0.0.1:1/x.git"]
)
def test_nobody_at_the_address_is_told_without_the_password(repos: Repos, address: str) -> None:
    message = repos.refused(repos.service(), "publish", "--to", address)
    assert "cannot read the repo https://" in message
    assert "hunter2" not in message


def test_a_remote_of_the_working_copy_that_is_gone_is_told(repos: Repos) -> None:
    proto = repos.make()
    repos.commit(proto, {"README": "x"})
    repos.git(proto, "remote", "add", "origin", "../gone.git")
    assert "cannot read the repo" in repos.refused(repos.service(), "publish")
    assert repos.git(proto, "log", "--format=%s") == "Change"


def test_several_remotes_without_an_origin_are_told(repos: Repos) -> None:
    proto = repos.make()
    for name in ("one", "two"):
        repos.git(proto, "remote", "add", name, f"../{name}.git")
    assert "one, two" in repos.refused(repos.service(), "publish")


def test_no_git_is_told(repos: Repos, monkeypatch: pytest.MonkeyPatch) -> None:
    repos.make()
    monkeypatch.setenv("PATH", str(repos.folder))
    assert "git is not installed" in repos.refused(repos.service(), "publish")


def test_settings_of_buf_that_cannot_be_read_are_told(repos: Repos) -> None:
    repos.make()
    service = repos.service()
    settings = service / "buf.yaml"
    settings.write_text("version: [")
    message = repos.refused(service, "publish")
    assert "buf.yaml is not YAML" in message


def test_nothing_is_left_in_the_temporary_folder(
    repos: Repos, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setenv("TMPDIR", str(place))
    remote = repos.remote({"README": "x"})
    service = repos.service()
    repos.published(service, "--to", remote.as_uri())
    repos.edit(service, "  string name = 2;\n", "")
    repos.refused(service, "publish", "--to", remote.as_uri())
    assert list(place.iterdir()) == []


def test_the_service_may_be_published_from_a_hook_of_its_repo(repos: Repos) -> None:
    proto = repos.make()
    repos.commit(proto, {"README": "x"})
    service = repos.service()
    repos.git(service, "init", "-q")
    hook = service / ".git/hooks/post-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\nexec {sys.executable} -m bali_cli publish\n")
    hook.chmod(0o755)
    repos.git(service, "add", ".")
    repos.git(service, "commit", "-q", "-m", "First")
    assert repos.show(proto)
