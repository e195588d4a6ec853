"""Where a repo of protos is, and which commit is its default: working copies and remotes."""

from __future__ import annotations

import pytest

from bali_cli.proto_repo import ProtoRepo
from tests.cli.repos import USER, Refusal, Repos


def test_a_working_copy_on_another_branch_is_read_at_the_default_of_its_remote(
    repos: Repos,
) -> None:
    remote = repos.remote({"user/user.proto": USER})
    copy = repos.clone(remote, "proto")
    repos.git(copy, "checkout", "-q", "-b", "mine")
    repos.commit(copy, {"user/user.proto": "mine"})
    assert ProtoRepo.open(str(copy)).read("user/user.proto") == USER.encode()
    assert ProtoRepo.open(str(copy), "mine").read("user/user.proto") == b"mine"


def test_a_branch_of_the_remote_alone_is_found(repos: Repos) -> None:
    remote = repos.remote({"user/user.proto": USER})
    first = repos.folder / "first"
    repos.commit(first, {"user/user.proto": "feature"})
    repos.git(first, "push", "-q", "origin", "HEAD:feature")
    copy = repos.clone(remote, "proto")
    assert ProtoRepo.open(str(copy), "feature").read("user/user.proto") == b"feature"


def test_a_bare_repo_whose_head_names_no_branch_is_read_at_the_only_one(repos: Repos) -> None:
    bare = repos.make("proto.git", branch="master", bare=True)
    copy = repos.clone(bare, "copy")
    repos.commit(copy, {"user/user.proto": USER})
    repos.git(copy, "push", "-q", "origin", "HEAD:trunk")
    for source in (str(bare), bare.as_uri()):
        assert ProtoRepo.open(source).files() == ["user/user.proto"]


def test_a_linked_worktree_is_a_repo_too(repos: Repos) -> None:
    folder = repos.make()
    repos.commit(folder, {"user/user.proto": USER})
    repos.git(folder, "worktree", "add", "-q", "-b", "side", "../side")
    assert ProtoRepo.open(str(repos.folder / "side")).files() == ["user/user.proto"]


def test_a_detached_head_is_refused_and_a_ref_helps(repos: Repos, refusal: Refusal) -> None:
    folder = repos.make()
    repos.commit(folder, {"user/user.proto": USER})
    repos.git(folder, "checkout", "-q", "--detach")
    assert "detached" in refusal.of(folder)
    assert ProtoRepo.open(str(folder), "main").files() == ["user/user.proto"]


@pytest.mark.parametrize("bare", [True, False])
@pytest.mark.parametrize("by_url", [True, False])
def test_a_repo_without_commits_is_told(
    repos: Repos, refusal: Refusal, bare: bool, by_url: bool
) -> None:
    folder = repos.make(bare=bare)
    message = refusal.of(folder.as_uri() if by_url else folder)
    assert "has no commits yet; `bali publish`" in message
    assert "has no branch, tag or commit 'v1'" in refusal.of(folder, "v1")


def test_what_is_no_repo_is_told(repos: Repos, refusal: Refusal) -> None:
    plain = repos.folder / "plain"
    plain.mkdir()
    assert "is not a git repo" in refusal.of(plain)
    assert "there is no folder" in refusal.of(repos.folder / "missing")
    file = repos.folder / "file"
    file.write_text("")
    assert "is a file" in refusal.of(file)


def test_a_folder_inside_a_repo_is_not_that_repo(repos: Repos, refusal: Refusal) -> None:
    folder = repos.make()
    repos.commit(folder, {"user/user.proto": USER})
    assert f"it is inside of one, {folder}" in refusal.of(folder / "user")
