"""The CI jobs of a service: they test, check, and publish from the main branch alone."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.cli.new.generated import Generated

CHECKS = ("ruff check .", "mypy .", "python -m pytest", "bali check")


def load(user: Generated, path: str) -> Any:
    return yaml.safe_load((user.folder / path).read_text())


def test_github_tests_every_push_and_publishes_main(user: Generated) -> None:
    jobs = load(user, ".github/workflows/ci.yml")["jobs"]
    steps = [step.get("run") for step in jobs["test"]["steps"]]
    assert [check for check in CHECKS if check not in steps] == []
    publish = jobs["publish"]
    assert publish["needs"] == "test"
    assert "github.ref == 'refs/heads/main'" in publish["if"]
    assert publish["steps"][-1]["run"] == 'bali publish --to "$PROTO_REPO"'


def test_gitlab_tests_every_push_and_publishes_main(user: Generated) -> None:
    jobs = load(user, ".gitlab-ci.yml")
    assert [check for check in CHECKS if check not in jobs["test"]["script"]] == []
    publish = jobs["publish"]
    assert jobs["stages"].index(publish["stage"]) > jobs["stages"].index(jobs["test"]["stage"])
    assert publish["rules"] == [{"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH && $PROTO_REPO"}]
    assert publish["script"][-1] == 'bali publish --to "$PROTO_REPO"'


@pytest.mark.parametrize("path", [".github/workflows/ci.yml", ".gitlab-ci.yml"])
def test_what_the_jobs_call_is_required(user: Generated, path: str) -> None:
    required = (user.folder / "requirements_dev.txt").read_text()
    jobs = (user.folder / path).read_text()
    for tool, package in (("ruff", "ruff"), ("mypy", "mypy"), ("bali ", "bali-cli")):
        assert tool in jobs
        assert package in required
