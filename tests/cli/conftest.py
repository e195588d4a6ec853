"""Git for the tests of commands: nothing of the user's own settings, and no terminal to ask at."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.repos import CONFIG, Refusal, Repos


@pytest.fixture(autouse=True)
def untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run commands without coverage, which makes thousands of processes twice as slow."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
    monkeypatch.delenv("COVERAGE_PROCESS_START", raising=False)


@pytest.fixture
def repos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repos:
    """What makes git repos, with a git that knows its user as Ann."""
    settings = tmp_path / "gitconfig"
    settings.write_text(CONFIG, encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", "/dev/null")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for role in ("AUTHOR", "COMMITTER"):
        for what in ("NAME", "EMAIL", "DATE"):
            monkeypatch.delenv(f"GIT_{role}_{what}", raising=False)
    work = tmp_path / "work"
    work.mkdir()
    return Repos(work)


@pytest.fixture
def refusal(capsys: pytest.CaptureFixture[str]) -> Refusal:
    return Refusal(capsys)
