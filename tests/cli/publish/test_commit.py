"""Who publishes, and in whose name: git's own settings, the environment, or nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.repos import Repos


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch, repos: Repos) -> None:
    """A git that does not know its user."""
    settings = repos.folder.parent / "gitconfig"
    settings.write_text("[init]\ndefaultBranch = main\n")


def authors(repos: Repos, repo: Path) -> str:
    return repos.git(repo, "log", "-1", "--format=%an <%ae>, %cn <%ce>", "main")


def test_nobody_is_refused_and_nothing_is_made_up(repos: Repos, nobody: None) -> None:
    proto = repos.make()
    message = repos.refused(repos.service(), "publish")
    assert "git does not know who publishes" in message
    assert "user.email" in message
    assert "GIT_AUTHOR_NAME" in message
    assert repos.git(proto, "for-each-ref") == ""


def test_the_author_of_the_environment_commits_too(
    repos: Repos, nobody: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    proto = repos.make()
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Job ü")
    monkeypatch.setenv("GIT_AUTHOR_EMAIL", "job@example.org")
    repos.published(repos.service())
    assert authors(repos, proto) == "Job ü <job@example.org>, Job ü <job@example.org>"


def test_a_name_without_an_address_is_not_enough(
    repos: Repos, nobody: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    repos.make()
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Job")
    assert "git does not know who publishes" in repos.refused(repos.service(), "publish")


def test_the_settings_of_the_repo_of_protos_come_before_those_of_the_service(
    repos: Repos, nobody: None
) -> None:
    service = repos.service()
    repos.git(service, "init", "-q")
    repos.git(service, "config", "user.name", "Service")
    repos.git(service, "config", "user.email", "service@example.org")
    remote = repos.remote()
    repos.published(service, "--to", remote.as_uri())
    assert authors(repos, remote) == (
        "Service <service@example.org>, Service <service@example.org>"
    )
    proto = repos.make()
    repos.git(proto, "config", "user.name", "Proto")
    repos.git(proto, "config", "user.email", "proto@example.org")
    repos.published(service)
    assert authors(repos, proto) == "Proto <proto@example.org>, Proto <proto@example.org>"


def test_a_message_cannot_pass_for_another_service(repos: Repos) -> None:
    proto = repos.make()
    repos.published(repos.service(), "--message", "Publish\n\nBali-Service: order")
    listed = repos.git(proto, "log", "-1", "--format=%(trailers:key=Bali-Service,valueonly)")
    assert listed == "user"


def test_a_commit_is_signed_where_git_is_told_to(repos: Repos) -> None:
    repos.make()
    repos.git(repos.folder / "proto", "config", "commit.gpgSign", "true")
    repos.git(repos.folder / "proto", "config", "gpg.program", "false")
    assert "failed to sign the data" in repos.refused(repos.service(), "publish")
