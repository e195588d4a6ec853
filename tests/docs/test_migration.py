"""The migration page: it names all that users of the first bali know, and tells the truth of it."""

from __future__ import annotations

import functools
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import grpc_tools.protoc
import pytest
from markdown_it import MarkdownIt

from bali._former import FORMER_MODULES
from tests.docs.document import read_document
from tests.docs.migration.checker import CHECKS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "migration.md"
CHECKER = Path(__file__).parent / "migration" / "checker.py"
PROTO = """
syntax = "proto3";
service UserService {
  rpc GetUsers(ListRequest) returns (ListResponse);
  rpc GetUser(GetRequest) returns (ItemResponse);
  rpc DeleteUser(GetRequest) returns (ResultResponse);
}
message ListRequest { int64 limit = 1; int64 offset = 2; }
message GetRequest { int64 id = 1; }
message User { int64 id = 1; string username = 2; }
message ListResponse { repeated User data = 1; int64 count = 2; }
message ItemResponse { User data = 1; }
message ResultResponse { bool result = 1; }
"""
STATES = ("works", "replaced", "later")

#: What users of the first bali know. Each has to stand in the first column of a table.
KNOWN = [
    *("Bali(", "title=", "base_settings=", "routers=", "backend_cors_origins=", "rpc_service="),
    *("event_handler=", "app.register(", "app.settings(", "app.start()", "--http", "--rpc"),
    *("--event", "@app.get", "APIRouter", "initialize(settings)", "Settings"),
    *("DEV", "TEST", "STAGING", "PROD"),
    *("Resource", "ModelResource", "model", "schema", "filters", "permission_classes"),
    *("http_endpoint", "name", "@action(methods=", "detail=", "http_only=", "rpc_only="),
    *("as_router()", "as_servicer(", "schema_in", "pk", "self.auth"),
    *("ListRequest(filters", "limit", "offset", "ordering", 'API("Greeter").get('),
    *("db.connect(", "db.Model", "db.Base", "db.BaseModel", "db.transaction()", "db.create_all()"),
    *(f"User.{manager}.{name}" for manager in ("io", "aio") for name in ("first", "create")),
    *(f"User.{manager}.{name}" for manager in ("io", "aio") for name in ("exists", "query")),
    *(f"User.{manager}.create_or_first" for manager in ("io", "aio")),
    *(f"User.{manager}.first_or_error" for manager in ("io", "aio")),
    *("save()", "delete()", "to_dict()", "count", "get_or_create", "update_or_create"),
    *("get_filters_expr(", "exact", "ne", "gt", "gte", "lt", "lte", "in", "notin", "between"),
    *("like", "ilike", "startswith", "istartswith", "endswith", "iendswith", "contains"),
    *("isnull", "year", "month", "day", "model_to_schema(", "exclude=", "partial="),
    *("created_time", "updated_time", "is_active"),
    *("ProcessInterceptor", "ServiceMixin", "GRPCTestBase", "MessageToDict", "ParseDict"),
    *("ListResponse{data, count}", "ItemResponse{data}", "ResultResponse{result}"),
    *("cache.get", "cache.set", "cache_memoize(", "Event", "dispatch", "@event_handler"),
    *("run_every(", "bali.utils.timezone", "gzip"),
    *("bali build", "bali add", "bali shell", "--shell"),
    *("bali new", "bali run http", "bali run rpc", "bali run event"),
    *("db init", "db migrate", "db upgrade"),
]

#: Commands that serve or take over the terminal: the tests that run them for real.
RUN_ELSEWHERE = {
    "python main.py --http": (
        "classic/test_classic_project.py",
        "test_plain_routes_and_the_resour",
    ),
    "python main.py --rpc": (
        "classic/test_classic_project.py",
        "test_the_hand_written_servicer_an",
    ),
    "python main.py run --http": ("app/test_program.py", '["run", "--rpc"]'),
    "python main.py --shell": (
        "app/test_program.py",
        "test_shell_runs_code_with_the_names_at_hand",
    ),
    "python main.py db init": ("app/test_program.py", "test_db_is_that_of_the_command_line"),
    "python main.py db migrate": ("app/test_program.py", "test_db_is_that_of_the_command_line"),
    "python main.py db upgrade": ("app/test_program.py", "test_db_is_that_of_the_command_line"),
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of a table: what was written, what became of it, and the names to use now."""

    line: int
    written: tuple[str, ...]
    state: str
    text: str
    names: tuple[str, ...]


@functools.cache
def rows() -> list[Row]:
    """Return the rows of all tables of the page."""
    found: list[Row] = []
    cells: list[tuple[str, tuple[str, ...]]] = []
    line, inside = 0, False
    for token in MarkdownIt().enable("table").parse(PAGE.read_text(encoding="utf-8")):
        if token.type == "tbody_open":
            inside = True
        elif token.type == "tbody_close":
            inside = False
        elif token.type == "tr_open" and token.map:
            line, cells = token.map[0] + 1, []
        elif token.type == "inline" and inside:
            children = token.children or []
            codes = tuple(child.content for child in children if child.type == "code_inline")
            cells.append((token.content, codes))
        elif token.type == "tr_close" and inside:
            (_, written), (state, _), (text, names) = cells
            found.append(Row(line=line, written=written, state=state, text=text, names=names))
    return found


def entries(state: str) -> list[str]:
    """Return what has to be checked of the rows of a state."""
    if state == "works":
        return [code for row in rows() if row.state == state for code in row.written]
    return [code for row in rows() if row.state == state for code in row.names]


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What went wrong with each entry, from one program that checks them all."""
    folder = tmp_path_factory.mktemp("migration")
    (folder / "service.proto").write_text(PROTO)
    options = [f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert grpc_tools.protoc.main(["protoc", *options, str(folder / "service.proto")]) == 0
    named = dict.fromkeys(code for state in STATES for code in entries(state))
    wanted = [code for code in named if code not in RUN_ELSEWHERE]
    kept = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "TZ")}
    done = subprocess.run(
        [sys.executable, str(CHECKER)],
        cwd=folder,
        env={**kept, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"},
        input=json.dumps(wanted),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def test_every_row_has_a_state_and_says_what_to_do() -> None:
    assert rows()
    for row in rows():
        assert row.written, f"line {row.line} names nothing"
        assert row.state in STATES, f"line {row.line}: {row.state!r}"
        assert row.state == "works" or row.text, f"line {row.line} says nothing of now"


@pytest.mark.parametrize("name", KNOWN)
def test_every_name_of_the_first_bali_stands_on_the_page(name: str) -> None:
    after = r"(?!\w)" if name[-1].isalnum() else ""
    pattern = re.compile(rf"(?<!\w){re.escape(name)}{after}")
    assert any(pattern.search(code) for row in rows() for code in row.written)


@pytest.mark.parametrize("code", entries("works"))
def test_what_is_said_to_work_works(outcome: dict[str, str | None], code: str) -> None:
    if code in RUN_ELSEWHERE:
        file, text = RUN_ELSEWHERE[code]
        assert text in (ROOT / "tests" / file).read_text(encoding="utf-8")
    else:
        assert outcome[code] is None, outcome[code]


@pytest.mark.parametrize("code", entries("replaced"))
def test_every_replacement_is_there(outcome: dict[str, str | None], code: str) -> None:
    assert outcome[code] is None, outcome[code]


def test_every_former_module_stands_on_the_page() -> None:
    [block] = [block for block in read_document(PAGE) if "from bali.core" in block.text]
    modules = set(re.findall(r"^from (\S+) import", block.text, re.MULTILINE))
    assert modules >= set(FORMER_MODULES)


def test_no_check_is_left_over() -> None:
    named = {code for state in STATES for code in entries(state)}
    assert set(CHECKS) <= named
