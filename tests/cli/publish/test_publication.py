"""`bali publish`: what lands in the repo of protos, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.repos import USER, Repos

FIELD = "  Kind kind = 3;\n"
AGE = f"{FIELD}  int64 age = 4;\n"


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
