"""`bali build` as its users run it."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from bali_cli.buf import format_difference, lint
from bali_cli.buf_config import BufConfig
from tests.cli.build.services import build, library, python, tree

GOLDEN = Path(__file__).parent / "golden"
HANDWRITTEN = """syntax = "proto3";
package user;
message User { int32 id = 1; }
service UserService { rpc GetUser(User) returns (User); }
"""
NOTHING = "nothing to do: everything is as it should be.\n"
#: Serves main.py on a free port and calls it with what protoc made, in one process.
CALL = """
import grpc
from bali.testing import live_server
from main import app
from services.rpc import library_pb2 as pb2
from services.rpc import library_pb2_grpc as pb2_grpc

book = pb2.LendBooksRequest(title="Dune", genre=pb2.GENRE_SCIENCE, copies={"main": 2})
book.form.paper.pages = 412
with live_server(app) as live, grpc.insecure_channel(live.address) as channel:
    stub = pb2_grpc.LibraryServiceStub(channel)
    lent = stub.LendBooks(book)
    found = [item.title for item in stub.SearchBooks(pb2.SearchBooksRequest(text="war"))]
    print(lent.title, lent.genre, lent.form.paper.pages, lent.copies, lent.notes.values, found)
"""

TYPED = """
import grpc

from services.rpc import library_pb2, library_pb2_grpc

stub = library_pb2_grpc.LibraryServiceStub(grpc.insecure_channel("localhost"))
book: library_pb2.Book = stub.LendBooks(library_pb2.LendBooksRequest(title="Dune"))
pages: int = book.form.paper.pages
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    return library(tmp_path / "service")


def proto_of(service: Path) -> str:
    return (service / "protos" / "library.proto").read_text(encoding="utf-8")


def test_everything_is_written_and_is_as_reviewed(service: Path) -> None:
    """Byte for byte; BALI_UPDATE_GOLDEN=1 writes the golden folder anew."""
    done = build(service)
    assert (done.returncode, done.stderr) == (0, "")
    found = tree(service)
    assert done.stdout.splitlines() == sorted(found)
    if os.environ.get("BALI_UPDATE_GOLDEN"):
        shutil.rmtree(GOLDEN, ignore_errors=True)
        for name, content in found.items():
            (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / name).write_bytes(content)
    golden = tree(GOLDEN)
    assert sorted(found) == sorted(golden)
    for name, content in found.items():
        assert content == golden[name], name


def test_what_was_built_is_called(service: Path) -> None:
    shutil.copytree(GOLDEN, service, dirs_exist_ok=True)
    done = python(service, "-c", CALL)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "Dune 2 412 {'main': 2} ['lent'] ['war']\n"


def test_what_was_built_is_typed(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path, dirs_exist_ok=True)
    (tmp_path / "use.py").write_text(TYPED)
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nstrict = True\n[mypy-google.type.*,google.api.*]\nignore_missing_imports = True\n"
    )
    done = python(tmp_path, "-m", "mypy", "use.py")
    assert done.returncode == 0, done.stdout


def test_contract_is_formatted_and_has_good_style() -> None:
    file = GOLDEN / "protos" / "library.proto"
    content = file.read_bytes()
    assert format_difference("library.proto", content) == ""
    assert lint({"library.proto": content}, {"library.proto": file}, BufConfig()) == []


def test_a_second_run_changes_nothing(service: Path) -> None:
    build(service)
    before = {path: path.stat().st_mtime_ns for path in service.rglob("*") if path.is_file()}
    done = build(service)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", NOTHING)
    assert (
        before.items()
        <= {path: path.stat().st_mtime_ns for path in service.rglob("*") if path.is_file()}.items()
    )


def test_reordering_changes_nothing(service: Path) -> None:
    build(service)
    title = '    title: str = Field(description="As it stands on the cover.")\n'
    last = "    notes: list[str] | None = None\n"
    library(service, (title, ""), (last, last + title), ("Paper | Audio", "Audio | Paper"))
    assert build(service).stderr == NOTHING


def test_a_contract_that_was_deleted_comes_back_with_its_numbers(service: Path) -> None:
    build(service)
    before = proto_of(service)
    (service / "protos" / "library.proto").unlink()
    title = '    title: str = Field(description="As it stands on the cover.")\n'
    last = "    notes: list[str] | None = None\n"
    library(service, (title, ""), (last, last + title))
    assert build(service).stdout == "protos/library.proto\n"
    assert proto_of(service) == before


def test_what_is_gone_is_reserved_and_told(service: Path) -> None:
    build(service)
    library(
        service,
        ("    authors: list[str] = []\n", "    isbn: str | None = None\n"),
        ('    SCIENCE = "science"\n', '    POETRY = "poetry"\n'),
        ("async def lend", "async def borrow"),
    )
    done = build(service)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "warning: method LibraryService.LendBooks is gone; calls of it will fail",
        "warning: field Book.authors is gone; its number stays reserved",
        "warning: value Genre.GENRE_SCIENCE is gone; its number stays reserved",
    ]
    text = proto_of(service)
    assert '  reserved 4;\n  reserved "authors";\n' in text
    assert "  optional string isbn = 8;\n" in text
    assert '  reserved 2;\n  reserved "GENRE_SCIENCE";\n' in text
    assert "  GENRE_POETRY = 3;\n" in text
    assert build(service).stderr == NOTHING


def test_another_type_is_refused_and_nothing_is_written(service: Path) -> None:
    build(service)
    before = tree(service)
    library(service, ("copies: dict[str, int]", "copies: int"), ("= {}", "= 0"))
    done = build(service)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        "error: the contract cannot be built: protos/library.proto: field LendBooksRequest.copies "
        "is map<string, int64> there and int64 now"
    )
    assert tree(service) == before


def test_title_that_changes_does_not_lose_the_numbers(service: Path) -> None:
    build(service)
    before = tree(service)
    library(service, ('title="library"', 'title="archive"'))
    done = build(service)
    assert done.returncode == 1
    assert "git mv protos/library.proto protos/archive.proto" in done.stderr
    assert tree(service) == before
    (service / "protos/library.proto").rename(service / "protos/archive.proto")
    assert build(service).returncode == 0
    assert "package archive;" in (service / "protos/archive.proto").read_text(encoding="utf-8")


def test_title_that_is_no_name_takes_that_of_the_package(tmp_path: Path) -> None:
    names = 'title="2nd Bücherei\\n", package="acme.library.v1", service="LibraryService"'
    service = library(tmp_path, ('title="library"', names))
    done = build(service)
    assert (done.returncode, done.stderr) == (0, "")
    text = (service / "protos/acme_library_v1.proto").read_text(encoding="utf-8")
    assert text.startswith("// Generated by bali build from the resources of 2nd Bücherei.\n// ")
    assert python(service, "-c", "from services.rpc import acme_library_v1_pb2").returncode == 0


def test_handwritten_proto_is_compiled_and_never_changed(tmp_path: Path) -> None:
    (tmp_path / "protos" / "deep").mkdir(parents=True)
    (tmp_path / "services" / "rpc").mkdir(parents=True)
    (tmp_path / "protos" / "user.proto").write_text(HANDWRITTEN)
    (tmp_path / "protos" / "deep" / "more.proto").write_text(
        'syntax = "proto3";\nimport "user.proto";\nmessage More { user.User user = 1; }\n'
    )
    (tmp_path / "services" / "rpc" / "old.proto").write_text('syntax = "proto3";\nmessage Old {}\n')
    # The app needs what is yet to be written, so it may not be imported.
    (tmp_path / "main.py").write_text("from services.rpc import user_pb2\nraise SystemExit(3)\n")
    done = build(tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    kinds = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
    stems = ("deep/more", "old", "user")
    assert set(done.stdout.splitlines()) == {f"services/rpc/{s}{k}" for s in stems for k in kinds}
    assert (tmp_path / "protos" / "user.proto").read_text() == HANDWRITTEN
    code = "from services.rpc.deep import more_pb2 as m; print(m.More(user={'id': 7}).user.id)"
    assert python(tmp_path, "-c", code).stdout == "7\n"
    assert build(tmp_path).stderr == NOTHING


def test_handwritten_proto_beside_a_generated_one_is_compiled(service: Path) -> None:
    build(service)
    (service / "protos" / "user.proto").write_text(HANDWRITTEN.replace("int32", "int64"))
    done = build(service)
    assert done.returncode == 0, done.stderr
    assert "services/rpc/user_pb2.py" in done.stdout.splitlines()
    assert "services/rpc/library_pb2.py" not in done.stdout.splitlines()


def test_errors_of_the_compiler_are_told_with_their_place(tmp_path: Path) -> None:
    (tmp_path / "protos").mkdir()
    (tmp_path / "protos" / "good.proto").write_text('syntax = "proto3";\nmessage A {}\n')
    bad = tmp_path / "protos" / "bäd.proto"
    bad.write_text('syntax = "proto3";\nmessage B {\n  Missing x = 1;\n}\n')
    done = build(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f'{bad}:3:3: "Missing" is not defined.' in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(tree(tmp_path)) == ["protos/bäd.proto", "protos/good.proto"]


def test_merge_conflict_in_the_contract_is_told_with_its_line(service: Path) -> None:
    build(service)
    proto = service / "protos" / "library.proto"
    proto.write_text(f"{proto_of(service)}<<<<<<< HEAD\n")
    before = tree(service)
    done = build(service)
    line = len(proto_of(service).splitlines())
    assert done.returncode == 1
    assert f"{proto}:{line}:1: " in done.stderr
    assert tree(service) == before


def test_error_in_a_proto_beside_the_contract_is_told_with_its_true_path(service: Path) -> None:
    build(service)
    (service / "protos" / "bad.proto").write_text('syntax = "proto3";\nmessage {}\n')
    done = build(service)
    assert done.returncode == 1
    assert f"{service / 'protos' / 'bad.proto'}:2:9: " in done.stderr
    assert "bali-build-" not in done.stderr


def test_two_protos_with_one_module_are_refused(tmp_path: Path) -> None:
    for folder in ("protos", "services/rpc"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "user.proto").write_text(HANDWRITTEN)
    done = build(tmp_path)
    assert done.returncode == 1
    assert "protos/user.proto and services/rpc/user.proto would both become" in done.stderr


def test_without_a_service_it_is_told_what_is_missing(tmp_path: Path) -> None:
    done = build(tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no main.py" in done.stderr


def test_without_anything_over_grpc_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("from bali import Bali\napp = Bali(title='x')\n")
    done = build(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing to do: no resource is offered over gRPC" in done.stderr
    assert tree(tmp_path) == {}


def test_a_damaged_lock_is_written_anew(service: Path) -> None:
    build(service)
    lock = service / "services" / "rpc" / "library.binpb"
    good = lock.read_bytes()
    lock.write_bytes(b"\xff\xff")
    assert build(service).stdout == "services/rpc/library.binpb\n"
    assert lock.read_bytes() == good


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_leaves_all_as_it_was(service: Path) -> None:
    (service / "services" / "rpc").mkdir(parents=True)
    (service / "services" / "rpc").chmod(0o500)
    done = build(service)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert tree(service) == {}


def test_a_file_in_the_way_leaves_all_as_it_was(service: Path) -> None:
    (service / "services").write_text("in the way")
    done = build(service)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert tree(service) == {"services": b"in the way"}


def test_help_has_an_example(tmp_path: Path) -> None:
    done = python(tmp_path, "-m", "bali_cli", "build", "--help")
    assert done.returncode == 0
    assert "bali build && git diff" in done.stdout
    assert sys.executable not in done.stdout
