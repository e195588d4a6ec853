"""What others did to a published contract is never undone."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.repos import USER, Repos

FIELD = "  Kind kind = 3;\n"
AGE = f"{FIELD}  int64 age = 4;\n"
EMAIL = f"{FIELD}  string email = 5;\n"


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
