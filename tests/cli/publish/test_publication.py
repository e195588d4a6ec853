"""`bali publish` into real repos: what lands there, and what is never undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.repos import USER, Repos

FIELD = "  Kind kind = 3;\n"
AGE = f"{FIELD}  int64 age = 4;\n"
EMAIL = f"{FIELD}  string email = 5;\n"


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


def test_the_contract_lands_as_one_commit_with_its_origin(
    repos: Repos, target: tuple[str, Path]
) -> None:
    source, place = target
    service = repos.service()
    repos.git(service, "init", "-q")
    commit = repos.commit(service, {"README": "user"})
    repos.git(service, "tag", "-m", "", "v1.2")
    output = repos.published(service, "--to", source)
    assert output.startswith(f"Published user/user.proto in {source}, branch main: commit ")
    assert repos.show(place) == USER
    assert repos.git(place, "rev-list", "--count", "main") == "2"
    body = repos.git(place, "log", "-1", "--format=%an <%ae>|%cn|%B", "main")
    assert body == (
        "Ann <ann@example.org>|Ann|Publish the contract of user\n\n"
        f"Bali-Service: user\nBali-Version: v1.2\nBali-Commit: {commit}-dirty"
    )
    assert repos.show(place, "README") == "protos"


def test_publishing_again_does_nothing_and_says_so(repos: Repos, target: tuple[str, Path]) -> None:
    source, place = target
    service = repos.service()
    repos.published(service, "--to", source)
    before = repos.git(place, "rev-parse", "main")
    assert repos.published(service, "--to", source).startswith("Nothing to publish: ")
    assert repos.git(place, "rev-parse", "main") == before


def test_a_change_of_ours_follows_and_the_folder_beside_is_the_default(repos: Repos) -> None:
    proto = repos.make()
    service = repos.service()
    repos.published(service)
    repos.edit(service, FIELD, AGE)
    repos.published(service, "--message", "Add the age of users\n\nFor the shop.")
    assert "int64 age = 4;" in repos.show(proto)
    assert (proto / "user/user.proto").read_text() == repos.show(proto)
    assert repos.git(proto, "status", "--porcelain") == ""
    message = repos.git(proto, "log", "-1", "--format=%B")
    assert message == "Add the age of users\n\nFor the shop.\n\nBali-Service: user"


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


def test_a_change_of_somebody_else_is_never_undone(repos: Repos, target: tuple[str, Path]) -> None:
    source, place = target
    service = repos.service()
    repos.published(service, "--to", source)
    theirs = repos.clone(place, "theirs")
    commit = repos.commit(theirs, {"user/user.proto": USER.replace(FIELD, EMAIL)}, "Add e-mail")
    _land(repos, theirs, place)
    repos.edit(service, FIELD, AGE)
    message = repos.refused(service, "publish", "--to", source)
    assert "user/user.proto was changed in the repo of protos" in message
    assert "Ben <ben@example.org> on 20" in message
    assert f"{commit[:12]} 'Add e-mail'" in message
    assert repos.git(place, "rev-parse", "main") == commit
    repos.edit(service, FIELD, EMAIL)
    repos.published(service, "--to", source)
    assert "email = 5" in repos.show(place)
    assert "age = 4" in repos.show(place)


def _land(repos: Repos, copy: Path, place: Path) -> None:
    """Put what a clone has on the main branch of the repo it is from."""
    if (place / ".git").exists():
        repos.git(place, "pull", "-q", "--ff-only", str(copy), "main")
    else:
        repos.git(copy, "push", "-q", "origin", "HEAD:main")


def test_a_contract_that_others_copied_there_is_ours_if_we_ever_had_it(repos: Repos) -> None:
    proto = repos.make()
    repos.commit(proto, {"user/user.proto": USER.replace("// x", "")})
    service = repos.service()
    repos.git(service, "init", "-q")
    repos.commit(service, {"protos/user.proto": USER})
    repos.edit(service, "Kind kind = 3;", "Kind kind = 3;  // of the user")
    repos.commit(service, {"protos/user.proto": (service / "protos/user.proto").read_text()})
    repos.published(service)
    assert "// of the user" in repos.show(proto)


def test_a_contract_of_somebody_else_under_our_name_is_refused(repos: Repos) -> None:
    proto = repos.make()
    repos.commit(proto, {"user/user.proto": USER.replace("UserService", "OtherService")})
    message = repos.refused(repos.service(), "publish", "--allow-breaking")
    assert "Ben <ben@example.org>" in message


def test_a_contract_that_somebody_removed_does_not_come_back(repos: Repos) -> None:
    proto = repos.make()
    service = repos.service()
    repos.published(service)
    repos.commit(proto, {"user/user.proto": None}, "Retire user")
    repos.edit(service, FIELD, AGE)
    message = repos.refused(service, "publish")
    assert "was removed" in message
    assert "Retire user" in message
    repos.git(proto, "revert", "--no-edit", "HEAD")
    repos.published(service)


def test_an_older_commit_of_the_service_does_not_replace_a_newer_one(repos: Repos) -> None:
    proto = repos.make()
    service = repos.service()
    repos.git(service, "init", "-q")
    old = repos.commit(service, {"protos/user.proto": USER})
    new = repos.commit(service, {"protos/user.proto": USER.replace(FIELD, AGE)})
    repos.published(service)
    repos.git(service, "checkout", "-q", old)
    message = repos.refused(service, "publish", "--allow-breaking")
    assert f"published from a newer commit of this service, {new[:12]}" in message
    assert "age = 4" in repos.show(proto)


def test_what_breaks_callers_is_refused_with_the_list(
    repos: Repos, target: tuple[str, Path]
) -> None:
    source, place = target
    service = repos.service()
    repos.published(service, "--to", source)
    before = repos.git(place, "rev-parse", "main")
    repos.edit(service, "string name = 2", "bytes name = 2")
    repos.edit(service, "  rpc WatchUser(WatchUserRequest) returns (stream User);\n", "")
    message = repos.refused(service, "publish", "--to", source)
    assert "protos/user.proto:11:3" in message
    assert 'RPC "WatchUser" on service "UserService" was deleted' in message
    assert 'changed type from "string" to "bytes"' in message
    assert "--allow-breaking" in message
    assert repos.git(place, "rev-parse", "main") == before
    repos.published(service, "--to", source, "--allow-breaking")
    assert "bytes name = 2" in repos.show(place)


def test_what_does_not_compile_there_is_refused(repos: Repos) -> None:
    proto = repos.make()
    service = repos.service()
    (service / "protos/types.proto").write_text('syntax = "proto3";\n\npackage user;\n')
    repos.edit(service, "package user;\n", 'package user;\n\nimport "types.proto";\n')
    message = repos.refused(service, "publish")
    assert "protos/user.proto:5:1" in message
    assert 'import "user/types.proto";' in message
    assert repos.git(proto, "for-each-ref") == ""


def test_files_of_one_service_land_in_one_commit(repos: Repos) -> None:
    proto = repos.make()
    repos.commit(proto, {"common/money.proto": 'syntax = "proto3";\n\npackage common;\n'})
    service = repos.service()
    (service / "protos/user").mkdir()
    (service / "protos/user/types.proto").write_text('syntax = "proto3";\n\npackage user;\n')
    (service / "protos/common").mkdir()
    (service / "protos/common/money.proto").write_text("a copy of theirs")
    imports = 'package user;\n\nimport "common/money.proto";\nimport "user/types.proto";\n'
    repos.edit(service, "package user;\n", imports)
    repos.published(service)
    listed = repos.git(proto, "show", "--format=", "--name-only", "HEAD").splitlines()
    assert listed == ["user/types.proto", "user/user.proto"]


def test_a_branch_is_for_a_merge_request(repos: Repos, target: tuple[str, Path]) -> None:
    source, place = target
    service = repos.service()
    repos.published(service, "--to", source)
    main = repos.git(place, "rev-parse", "main")
    repos.edit(service, FIELD, AGE)
    repos.published(service, "--to", source, "--branch", "user/age")
    assert (
        repos.git(place, "rev-parse", "main") == main == repos.git(place, "rev-parse", "user/age~1")
    )
    repos.edit(service, AGE, f"{AGE}  bool is_new = 6;\n")
    repos.published(service, "--to", source, "--branch", "user/age")
    assert repos.git(place, "rev-parse", "user/age~2") == main
    assert "is_new = 6" in repos.show(place, ref="user/age")


def test_a_branch_that_was_merged_starts_again_at_the_default_one(repos: Repos) -> None:
    remote = repos.remote({"README": "x"})
    service = repos.service()
    repos.published(service, "--to", str(remote), "--branch", "update")
    copy = repos.clone(remote, "copy")
    repos.git(copy, "merge", "-q", "--no-ff", "-m", "Merge", "origin/update")
    repos.commit(copy, {"README": "y"})
    repos.git(copy, "push", "-q", "origin", "HEAD:main")
    repos.edit(service, FIELD, AGE)
    repos.published(service, "--to", str(remote), "--branch", "update")
    main = repos.git(remote, "rev-parse", "main")
    assert repos.git(remote, "rev-parse", "update~1") == main


def test_a_branch_that_breaks_what_is_published_is_refused(repos: Repos) -> None:
    repos.make()
    service = repos.service()
    repos.published(service)
    repos.edit(service, "  string name = 2;\n", "")
    assert "was deleted" in repos.refused(service, "publish", "--branch", "next")


@pytest.mark.parametrize("name", ["a b", "-d", "a..b", "a.lock", "/a", "", "@{-1}", "HEAD:x"])
def test_a_name_that_no_branch_can_have_is_refused(repos: Repos, name: str) -> None:
    proto = repos.make()
    repos.commit(proto, {"README": "x"})
    message = repos.refused(repos.service(), "publish", f"--branch={name}")
    assert "cannot be the name of a branch" in message
    assert repos.git(proto, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


def test_a_dry_run_shows_the_difference_and_changes_nothing(
    repos: Repos, target: tuple[str, Path]
) -> None:
    source, place = target
    before = repos.git(place, "for-each-ref")
    ran = repos.bali(repos.service(), "publish", "--to", source, "--dry-run")
    assert ran.returncode == 0
    assert "+++ b/user/user.proto" in ran.stdout
    assert "+package user;" in ran.stdout
    assert "Nothing is changed" in ran.stderr
    assert repos.git(place, "for-each-ref") == before
    if (place / ".git").exists():
        assert repos.git(place, "status", "--porcelain") == ""


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


@pytest.mark.parametrize("place", ["user/user.proto", "user"])
def test_a_link_or_a_file_in_the_way_is_not_replaced(repos: Repos, place: str) -> None:
    proto = repos.make()
    repos.commit(proto, {"README": "x"})
    (proto / place).parent.mkdir(exist_ok=True)
    (proto / place).symlink_to("README")
    repos.git(proto, "add", ".")
    repos.git(proto, "commit", "-q", "-m", "Link")
    assert f"{place} in " in repos.refused(repos.service(), "publish")
    assert (proto / place).is_symlink()
