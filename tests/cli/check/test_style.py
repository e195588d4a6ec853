"""Format and lint: our rules, and those of a service's own buf.yaml."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from bali_cli.buf_config import config_of
from bali_cli.check.files import ProtoFiles
from bali_cli.check.style import check_format, check_lint
from bali_cli.project import Project
from tests.cli.repos import USER

CLASSIC = """syntax = "proto3";

package greeter;

service GreeterService {
  rpc ListGreeter(ListRequest) returns (ListResponse);
  rpc GetGreeter(GetRequest) returns (ItemResponse);
  rpc FindGreeter(GetRequest) returns (ItemResponse);
}

message ListRequest {
  int64 limit = 1;
  int64 offset = 2;
}

message GetRequest {
  int64 id = 1;
}

message ListResponse {
  repeated ItemResponse data = 1;
  int64 count = 2;
}

message ItemResponse {
  string data = 1;
}
"""
MODULES = """version: v2
modules:
  - path: other
  - path: protos
    lint:
      ignore: [protos/user.proto]
"""
ODD = USER.replace("KIND_ADMIN", "ADMIN")


def service(folder: Path, **files: str) -> ProtoFiles:
    (folder / "protos").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "protos" / f"{name}.proto").write_text(text, encoding="utf-8")
    return ProtoFiles(Project(root=folder))


def rules(files: ProtoFiles) -> list[str]:
    group, _ = check_lint(files, config_of(files.project))
    return [problem.text.rpartition("(")[2].rstrip(")") for problem in group.problems]


@pytest.mark.parametrize("text", [USER, CLASSIC])
def test_the_contracts_of_the_design_pass(tmp_path: Path, text: str) -> None:
    files = service(tmp_path, user=text)
    assert rules(files) == []
    assert not check_format(files).problems


def test_what_breaks_a_rule_is_found_where_it_is(tmp_path: Path) -> None:
    files = service(tmp_path, user=ODD.replace("service UserService", "service Users"))
    group, compiles = check_lint(files, config_of(files.project))
    assert compiles
    assert [problem.place for problem in group.problems] == [
        "protos/user.proto:5:9",
        "protos/user.proto:26:3",
    ]
    assert rules(files) == ["SERVICE_SUFFIX", "ENUM_VALUE_PREFIX"]


def test_imports_of_google_are_found_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    text = (
        USER.replace(
            "package user;\n",
            'package user;\n\nimport "google/api/annotations.proto";\n'
            'import "google/protobuf/timestamp.proto";\nimport "google/rpc/status.proto";\n',
        )
        .replace(
            "  Kind kind = 3;\n",
            "  google.protobuf.Timestamp time = 3;\n  google.rpc.Status status = 4;\n",
        )
        .replace(
            "returns (User);",
            'returns (User) {\n    option (google.api.http) = {get: "/users/{id}"};\n  }',
        )
    )
    assert rules(service(tmp_path, user=text)) == []


@pytest.mark.parametrize("place", ["buf.yaml", "buf.yml", "protos/buf.yaml"])
@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("version: v2\n", ["ENUM_VALUE_PREFIX"]),
        ("version: v2\nlint:\n  except: [ENUM_VALUE_PREFIX]\n", []),
        ("version: v2\nlint:\n  except:\n", ["ENUM_VALUE_PREFIX"]),
        ("version: v1\n", ["ENUM_VALUE_PREFIX"]),
        ("version: v2\nlint:\n  use: [BASIC]\n", ["PACKAGE_DIRECTORY_MATCH"]),
        ("version: v2\nlint:\n  use: [PACKAGE_VERSION_SUFFIX]\n", ["PACKAGE_VERSION_SUFFIX"]),
        ("version: v1\nlint:\n  use: [PACKAGE_VERSION_SUFFIX]\n", ["PACKAGE_VERSION_SUFFIX"]),
        ("version: v1beta1\nlint:\n  use: [ENUM_VALUE_PREFIX]\n", ["ENUM_VALUE_PREFIX"]),
        (
            "version: v2\nname: buf.build/x/y\ndeps: [buf.build/googleapis/googleapis]\n",
            ["ENUM_VALUE_PREFIX"],
        ),
    ],
)
def test_the_own_buf_yaml_wins(
    tmp_path: Path, place: str, settings: str, expected: list[str]
) -> None:
    files = service(tmp_path, user=ODD)
    (tmp_path / place).write_text(settings)
    assert rules(files) == expected


@pytest.mark.parametrize(
    ("place", "settings"),
    [
        ("buf.yaml", "version: v2\nlint:\n  ignore: [protos/user.proto]\n"),
        ("buf.yaml", "version: v2\nlint:\n  ignore: [protos]\n"),
        ("buf.yaml", "version: v2\nlint:\n  ignore_only: {STANDARD: [protos/user.proto]}\n"),
        ("protos/buf.yaml", "version: v1\nlint:\n  ignore: [user.proto]\n"),
        ("buf.yaml", MODULES),
    ],
)
def test_paths_to_ignore_are_those_of_the_service(
    tmp_path: Path, place: str, settings: str
) -> None:
    files = service(tmp_path, user=ODD, order=ODD.replace("package user", "package people"))
    (tmp_path / place).write_text(settings)
    group, _ = check_lint(files, config_of(files.project))
    places = {problem.place.partition(":")[0] for problem in group.problems}
    assert places == (set() if "[protos]" in settings else {"protos/order.proto"})


@pytest.mark.parametrize("settings", ["version: [", "- a\n", "", "version: v9\n", "\xff"])
def test_a_buf_yaml_that_is_none_is_told(
    tmp_path: Path, settings: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = service(tmp_path, user=USER)
    (tmp_path / "buf.yaml").write_bytes(settings.encode("latin-1"))
    with pytest.raises(typer.Exit):
        rules(files)
    assert "buf.yaml" in capsys.readouterr().err


def test_rules_that_buf_does_not_know_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = service(tmp_path, user=USER)
    (tmp_path / "buf.yaml").write_text("version: v2\nlint:\n  use: [NICE]\n")
    with pytest.raises(typer.Exit):
        rules(files)
    assert "NICE" in capsys.readouterr().err


def test_copies_of_google_are_not_judged(tmp_path: Path) -> None:
    files = service(tmp_path, user=USER)
    place = tmp_path / "protos/google/type"
    place.mkdir(parents=True)
    (place / "date.proto").write_text('syntax = "proto3";\npackage Bad;\n')
    assert rules(files) == []
    assert not check_format(files).problems


def test_format_names_the_first_line_that_differs(tmp_path: Path) -> None:
    files = service(tmp_path, user=USER.replace("  int64 id = 1;\n}", "    int64 id = 1;\n}"))
    [problem] = check_format(files).problems
    assert problem.place == "protos/user.proto:17"
    assert "-    int64 id = 1;" in problem.details
    assert "+  int64 id = 1;" in problem.details


def test_a_file_that_is_no_proto_does_not_pass(tmp_path: Path) -> None:
    for text in ("", "\0", "größe", "syntax = 'proto9';"):
        files = service(tmp_path, user=text)
        group, compiles = check_lint(files, config_of(files.project))
        assert group.problems or not compiles or text == ""
