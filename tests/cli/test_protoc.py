"""The modules that the compiler writes import each other wherever they are, and its errors tell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bali_cli.protoc import ProtocError, compile_protos, descriptor_set

TYPES = """syntax = "proto3";
package common;
message Address { string street = 1; }
"""
USER = """syntax = "proto3";
package user;
import "common/deep-er/types.proto";
import "top.proto";
import "google/protobuf/timestamp.proto";
import "google/type/date.proto";
import "google/api/annotations.proto";
// Somebody.
message User {
  common.Address address = 1;
  Top top = 2;
  google.protobuf.Timestamp at = 3;
  google.type.Date born = 4;
}
service UserService {
  rpc GetUser(User) returns (User) { option (google.api.http) = { get: "/users" }; }
}
"""
FILES = {
    "common/deep-er/types.proto": TYPES,
    "top.proto": 'syntax = "proto3";\nmessage Top { int32 x = 1; }\n',
    "user/user.proto": USER,
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "Protos mit Ümlaut"
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def python(folder: Path, code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@pytest.mark.parametrize("package", [".", "rpc", "a/b/c"])
def test_modules_import_each_other_at_any_depth(root: Path, tmp_path: Path, package: str) -> None:
    out = tmp_path / "out" / package
    changed = compile_protos(list(FILES), root, out)
    assert len(changed) == 4 * len(FILES)
    dotted = package.replace("/", ".").strip(".")
    if package == ".":  # the top level is no package: there they are found without dots
        return
    code = (
        f"from {dotted}.user import user_pb2, user_pb2_grpc\n"
        f"from {dotted}.common.deep_er import types_pb2\n"
        "user = user_pb2.User(address=types_pb2.Address(street='x'))\n"
        "print(user.address.street, user_pb2_grpc.UserServiceStub.__name__)"
    )
    assert python(tmp_path / "out", code) == "x UserServiceStub"


def test_stubs_type_what_they_describe(root: Path, tmp_path: Path) -> None:
    compile_protos(list(FILES), root, tmp_path / "rpc")
    (tmp_path / "use.py").write_text(
        "import grpc\n\nfrom rpc.user import user_pb2, user_pb2_grpc\n\n"
        "street: str = user_pb2.User().address.street\n\n\n"
        "class Service(user_pb2_grpc.UserServiceServicer):\n"
        "    def GetUser(\n"
        "        self, request: user_pb2.User, context: grpc.ServicerContext\n"
        "    ) -> user_pb2.User:\n"
        "        return request\n"
    )
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = True\n[mypy-google.type.*,google.api.*]\nignore_missing_imports = True\n"
    )
    command = [sys.executable, "-m", "mypy", "use.py"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout


def test_a_second_run_changes_nothing(root: Path, tmp_path: Path) -> None:
    compile_protos(list(FILES), root, tmp_path / "rpc")
    assert compile_protos(list(FILES), root, tmp_path / "rpc") == []


def test_only_what_is_asked_for_is_written(root: Path, tmp_path: Path) -> None:
    changed = compile_protos(["top.proto"], root, tmp_path / "rpc", grpc=False, pyi=False)
    assert [path.name for path in changed] == ["top_pb2.py"]
    assert compile_protos([], root, tmp_path / "rpc") == []


def test_keywords_as_folders_are_reached(tmp_path: Path) -> None:
    root = tmp_path / "protos"
    (root / "class").mkdir(parents=True)
    (root / "class" / "import.proto").write_text(TYPES)
    (root / "user.proto").write_text(
        'syntax = "proto3";\npackage u;\nimport "class/import.proto";\n'
        "message User { common.Address address = 1; }\n"
    )
    files = ["class/import.proto", "user.proto"]
    compile_protos(files, root, tmp_path / "rpc", grpc=False, pyi=False)
    code = "from rpc import user_pb2; print(user_pb2.User.DESCRIPTOR.fields[0].name)"
    assert python(tmp_path, code) == "address"


def test_descriptors_have_imports_and_comments(root: Path) -> None:
    found = descriptor_set([root / "user/user.proto"], root)
    names = [file.name for file in found.file]
    assert names[-1] == "user/user.proto"
    assert {"top.proto", "google/type/date.proto"} <= set(names)
    comments = [place.leading_comments for place in found.file[-1].source_code_info.location]
    assert " Somebody.\n" in comments


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('syntax = "proto3";\nmessage A { int32 x = ; }\n', 2, "Expected"),
        ('syntax = "proto3";\nmessage A { Missing x = 1; }\n', 2, '"Missing" is not defined'),
        ('syntax = "proto3";\nimport "nowhere.proto";\n', 2, "nowhere.proto"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(root: Path, text: str, line: int, said: str) -> None:
    (root / "bad.proto").write_text(text)
    with pytest.raises(ProtocError) as caught:
        compile_protos(["bad.proto"], root, root / "rpc")
    told = [item for item in caught.value.diagnostics if said in item.text]
    assert told
    assert any((item.line, item.file) == (line, str(root / "bad.proto")) for item in told) or (
        "nowhere" in said
    )
    assert not (root / "rpc").exists()


def test_a_file_that_is_not_there_is_told(root: Path) -> None:
    with pytest.raises(ProtocError, match=r"missing\.proto"):
        descriptor_set(["missing.proto"], root)
