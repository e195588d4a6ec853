"""Where a contract lands: working copies, their remotes, bare repos and addresses."""

from __future__ import annotations

import pytest

from tests.cli.repos import USER, Repos

FIELD = "  Kind kind = 3;\n"
AGE = f"{FIELD}  int64 age = 4;\n"


@pytest.mark.parametrize("branch", ["main", "trunk"])
@pytest.mark.parametrize("kind", ["working copy", "clone", "bare", "file URL"])
def test_the_first_commit_of_an_empty_repo_is_made(repos: Repos, kind: str, branch: str) -> None:
    place = repos.make("proto.git", branch=branch, bare=kind != "working copy")
    copy = repos.clone(place, "clone") if kind == "clone" else place
    if kind == "file URL":
        branch = "main"  # an empty repo does not tell its branch from afar
    repos.published(repos.service(), "--to", place.as_uri() if kind == "file URL" else str(copy))
    assert repos.show(place, ref=branch) == USER
    if kind == "clone":
        assert (copy / "user/user.proto").read_text() == USER


def test_a_working_copy_with_a_remote_follows_with_all_that_is_edited_in_it(repos: Repos) -> None:
    remote = repos.remote({"README": "protos\n", "order/order.proto": "one\n"})
    copy = repos.clone(remote, "proto")
    first = repos.folder / "first"
    repos.commit(first, {"billing/billing.proto": "x"})
    repos.git(first, "push", "-q", "origin", "HEAD:main")
    (copy / "order/order.proto").write_text("two\n")
    (copy / "README").write_text("staged\n")
    repos.git(copy, "add", "README")
    (copy / "untracked").write_text("new\n")
    before = repos.git(copy, "status", "--porcelain")
    repos.published(repos.service())
    assert repos.git(copy, "status", "--porcelain") == before
    assert (copy / "order/order.proto").read_text() == "two\n"
    assert (copy / "user/user.proto").read_text() == USER
    assert repos.git(copy, "rev-parse", "HEAD") == repos.git(remote, "rev-parse", "main")
    assert repos.git(copy, "rev-parse", "origin/main") == repos.git(remote, "rev-parse", "main")


def test_a_working_copy_without_a_remote_keeps_what_is_edited_in_it(repos: Repos) -> None:
    proto = repos.make()
    repos.commit(proto, {"README": "protos\n"})
    (proto / "README").write_text("edited\n")
    (proto / "staged").write_text("staged\n")
    repos.git(proto, "add", "staged")
    before = repos.git(proto, "status", "--porcelain")
    repos.published(repos.service())
    assert repos.git(proto, "status", "--porcelain") == before
    assert repos.git(proto, "show", "--stat", "--format=", "HEAD").startswith("user/user.proto")


@pytest.mark.parametrize("edit", ["edited", "staged", "untracked"])
@pytest.mark.parametrize("has_remote", [True, False])
def test_an_edited_copy_of_the_same_file_is_refused(
    repos: Repos, edit: str, has_remote: bool
) -> None:
    files = {} if edit == "untracked" else {"user/user.proto": USER}
    if has_remote:
        proto = repos.clone(repos.remote({"README": "x", **files}), "proto")
    else:
        proto = repos.make()
        repos.commit(proto, {"README": "x", **files})
    (proto / "user").mkdir(exist_ok=True)
    (proto / "user/user.proto").write_text("mine")
    if edit == "staged":
        repos.git(proto, "add", ".")
    service = repos.service()
    repos.edit(service, FIELD, AGE)
    message = repos.refused(service, "publish")
    assert "proto/user/user.proto has changes that are not committed" in message
    assert (proto / "user/user.proto").read_text() == "mine"


def test_a_copy_that_cannot_follow_is_told_and_the_contract_is_published(repos: Repos) -> None:
    remote = repos.remote({"README": "x"})
    proto = repos.clone(remote, "proto")
    repos.commit(proto, {"mine": "not pushed"})
    ran = repos.bali(repos.service(), "publish")
    assert ran.returncode == 0
    assert "run `git pull` there" in ran.stderr
    assert repos.show(remote) == USER
    assert not (proto / "user").exists()


def test_a_copy_on_another_branch_stays_there(repos: Repos) -> None:
    for has_remote in (True, False):
        name = f"proto-{has_remote}"
        if has_remote:
            remote = repos.remote({"README": "x"})
            proto = repos.clone(remote, name)
        else:
            remote = proto = repos.make(name)
            repos.commit(proto, {"README": "x"})
        repos.git(proto, "checkout", "-q", "-b", "feature")
        where = ("--branch", "main") if not has_remote else ()
        repos.published(repos.service(), "--to", str(proto), *where)
        assert repos.show(remote, ref="main") == USER
        assert repos.git(proto, "branch", "--show-current") == "feature"
        assert not (proto / "user").exists()


def test_a_detached_copy_without_a_remote_is_refused_and_a_branch_helps(repos: Repos) -> None:
    proto = repos.make()
    repos.commit(proto, {"README": "x"})
    repos.git(proto, "checkout", "-q", "--detach")
    service = repos.service()
    assert "--branch" in repos.refused(service, "publish")
    assert "--branch" in repos.refused(service, "publish", "--branch", "new")
    repos.published(service, "--branch", "main")
    assert repos.show(proto) == USER


def test_a_hook_of_the_remote_may_refuse(repos: Repos) -> None:
    remote = repos.remote({"README": "x"})
    hook = remote / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho 'main is protected' >&2\nexit 1\n")
    hook.chmod(0o755)
    message = repos.refused(repos.service(), "publish", "--to", str(remote))
    assert "main is protected" in message
    assert "--branch" in message


def test_hooks_of_a_working_copy_do_not_run(repos: Repos) -> None:
    proto = repos.make()
    repos.commit(proto, {"README": "x"})
    for name in ("pre-commit", "post-merge", "reference-transaction", "post-checkout"):
        hook = proto / "hooks" / name
        hook = proto / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {repos.folder}/ran\nexit 1\n")
        hook.chmod(0o755)
    repos.published(repos.service())
    assert not (repos.folder / "ran").exists()
