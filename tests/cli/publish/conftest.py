"""The repos that a contract is published to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.repos import Repos


@pytest.fixture(params=["working copy", "working copy with a remote", "bare", "file URL"])
def target(request: pytest.FixtureRequest, repos: Repos) -> tuple[str, Path]:
    """The ways to name a repo of protos; and the one where the contract lands in the end."""
    if request.param == "working copy":
        folder = repos.make()
        repos.commit(folder, {"README": "protos"})
        return str(folder), folder
    remote = repos.remote({"README": "protos"})
    if request.param == "working copy with a remote":
        return str(repos.clone(remote, "proto")), remote
    return str(remote) if request.param == "bare" else remote.as_uri(), remote
