"""Edits of a contract and what `bali check` says to them, against what callers have."""

from __future__ import annotations

from pathlib import Path

import pytest

from bali_cli.buf_config import config_of
from bali_cli.check.breaking import check_breaking
from bali_cli.check.files import ProtoFiles
from bali_cli.check.report import Group
from bali_cli.project import Project
from tests.cli.repos import USER, Repos

RPC = "  rpc WatchUser(WatchUserRequest) returns (stream User);\n"
NAME = "  string name = 2;\n"
ADMIN = "  KIND_ADMIN = 1;\n"
MESSAGE = "message WatchUserRequest {\n  int64 id = 1;\n}\n"

FINE = {
    "nothing": ("", ""),
    "a comment": (NAME, f"  // What others call it.\n{NAME}"),
    "a field added": (NAME, f"{NAME}  int64 age = 4;\n"),
    "an optional field added": (NAME, f"{NAME}  optional int64 age = 4;\n"),
    "a message added": (MESSAGE, f"{MESSAGE}\nmessage Team {{\n  int64 id = 1;\n}}\n"),
    "a method added": (RPC, f"{RPC}  rpc FindUser(GetUserRequest) returns (User);\n"),
    "an enum value added": (ADMIN, f"{ADMIN}  KIND_GUEST = 2;\n"),
    "fields in another order": (f"  int64 id = 1;\n{NAME}", f"{NAME}  int64 id = 1;\n"),
    "a number reserved": (NAME, f"{NAME}  reserved 9;\n"),
    "an import added": (
        "package user;\n",
        'package user;\n\nimport "google/api/http.proto";\nimport "google/type/date.proto";\n',
    ),
}
BREAKING = {
    "a field removed": (NAME, "", "FIELD_NO_DELETE"),
    "a field removed and reserved": (
        NAME,
        '  reserved 2;\n  reserved "name";\n',
        "FIELD_NO_DELETE",
    ),
    "a field renumbered": (NAME, "  string name = 9;\n", "FIELD_NO_DELETE"),
    "a field renamed": (NAME, "  string nick = 2;\n", "FIELD_SAME_NAME"),
    "a field retyped": (NAME, "  bytes name = 2;\n", "FIELD_SAME_TYPE"),
    "a field made a list": (NAME, "  repeated string name = 2;\n", "FIELD_SAME_CARDINALITY"),
    "a field in a oneof": (NAME, "  oneof x {\n    string name = 2;\n  }\n", "FIELD_SAME_ONEOF"),
    "a method removed": (RPC, "", "RPC_NO_DELETE"),
    "a method renamed": ("rpc WatchUser(", "rpc FollowUser(", "RPC_NO_DELETE"),
    "a method that streams no more": ("(stream User)", "(User)", "RPC_SAME_SERVER_STREAMING"),
    "another request": ("(WatchUserRequest)", "(GetUserRequest)", "RPC_SAME_REQUEST_TYPE"),
    "a service renamed": ("service UserService", "service PeopleService", "SERVICE_NO_DELETE"),
    "a message renamed": ("message User ", "message Person ", "MESSAGE_NO_DELETE"),
    "an enum value removed": (ADMIN, "", "ENUM_VALUE_NO_DELETE"),
    "an enum value renamed": ("KIND_ADMIN", "KIND_ROOT", "ENUM_VALUE_SAME_NAME"),
    "another package": ("package user;", "package people;", "FILE_SAME_PACKAGE"),
}


@pytest.fixture(params=["the repo of protos", "a commit"])
def against(request: pytest.FixtureRequest, repos: Repos) -> str | None:
    """The ways to name what callers have: in each, the contract as it is."""
    if request.param == "a commit":
        service = repos.service()
        repos.git(service, "init", "-q")
        repos.commit(service, {"protos/user.proto": USER})
        return "main"
    proto = repos.make()
    repos.commit(proto, {"user/user.proto": USER})
    return None


def verdict(service: Path, against: str | None) -> Group:
    project = Project(root=service)
    return check_breaking(ProtoFiles(project), config_of(project), against)


def edited(text: str, old: str, new: str) -> str:
    """Return a contract after an edit, with what has to follow for it to compile."""
    assert old in text
    text = text.replace(old, new, 1)
    if "message Person" in text:
        text = text.replace("(User)", "(Person)").replace("(stream User)", "(stream Person)")
    return text


@pytest.mark.parametrize("edit", FINE)
def test_what_callers_do_not_notice_is_fine(repos: Repos, against: str | None, edit: str) -> None:
    group = verdict(repos.service(proto=edited(USER, *FINE[edit])), against)
    assert (list(group.problems), group.skipped) == ([], "")


@pytest.mark.parametrize("edit", BREAKING)
def test_what_callers_would_miss_is_found(repos: Repos, against: str | None, edit: str) -> None:
    old, new, rule = BREAKING[edit]
    group = verdict(repos.service(proto=edited(USER, old, new)), against)
    assert any(problem.text.endswith(f"({rule})") for problem in group.problems), group
    for problem in group.problems:
        file, line, column = problem.place.split(":")
        assert file == "protos/user.proto"
        assert int(line) > 0
        assert int(column) > 0
    assert "--allow-breaking" in group.remedy


def test_an_address_names_what_callers_have(repos: Repos) -> None:
    proto = repos.make("elsewhere")
    repos.commit(proto, {"user/user.proto": USER})
    for source in (proto.as_uri(), str(proto)):
        [problem] = verdict(repos.service(proto=USER.replace(NAME, "")), source).problems
        assert problem.text.endswith("(FIELD_NO_DELETE)")


def test_what_is_not_published_yet_breaks_nobody(repos: Repos) -> None:
    service = repos.service()
    assert "there is no repo of protos" in verdict(service, None).skipped
    proto = repos.make()
    assert "nothing is published" in verdict(service, None).skipped
    repos.commit(proto, {"order/order.proto": USER})
    assert "user is not published" in verdict(service, None).skipped


def test_broken_contracts_of_others_are_no_hindrance(repos: Repos) -> None:
    proto = repos.make()
    repos.commit(proto, {"user/user.proto": USER, "order/order.proto": "message {"})
    assert list(verdict(repos.service(), None).problems) == []


def test_an_import_that_is_not_there_is_found_with_its_line(repos: Repos) -> None:
    proto = repos.make()
    repos.commit(proto, {"user/user.proto": USER})
    imported = USER.replace("package user;\n", 'package user;\n\nimport "common/money.proto";\n')
    service = repos.service(proto=imported)
    places = [problem.place for problem in verdict(service, None).problems]
    assert places == ["protos/user.proto:5:1"]


def test_a_file_that_is_gone_since_a_commit_is_found(repos: Repos) -> None:
    service = repos.service()
    repos.git(service, "init", "-q")
    other = 'syntax = "proto3";\n\npackage user;\n\nmessage Team {}\n'
    repos.commit(service, {"protos/user.proto": USER, "protos/team.proto": other})
    (service / "protos/team.proto").unlink()
    assert [problem.place for problem in verdict(service, "HEAD").problems] == ["team.proto:1"]


def test_a_service_in_a_folder_of_its_repo_is_compared_with_a_commit(repos: Repos) -> None:
    repo = repos.make("mono")
    repos.commit(repo, {"services/user/protos/user.proto": USER})
    (repo / "services/user/protos/user.proto").write_text(USER.replace(NAME, ""))
    [problem] = verdict(repo / "services/user", "main").problems
    assert problem.text.endswith("(FIELD_NO_DELETE)")


def test_rules_of_the_buf_yaml_count(repos: Repos) -> None:
    proto = repos.make()
    repos.commit(proto, {"user/user.proto": USER})
    gone = '  reserved 2;\n  reserved "name";\n'
    service = repos.service(proto=USER.replace(NAME, gone))
    assert verdict(service, None).problems
    (service / "buf.yaml").write_text("version: v2\nbreaking:\n  use: [WIRE_JSON]\n")
    assert not verdict(service, None).problems
    (service / "buf.yaml").write_text("version: v2\nbreaking:\n  ignore: [protos/user.proto]\n")
    assert not verdict(service, None).problems
