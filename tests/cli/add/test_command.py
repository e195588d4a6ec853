"""`bali add` as its users run it, on real git repos."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.add.protorepo import Workplace, run

GOLDEN = Path(__file__).parent / "golden"
NICK = ("string username = 2;", "string username = 2;\n  string nick = 15;")
BAD_NAMES = ["..", "../x", "/etc", "User", "a b", "", "-x", "1a", "üser", "a--b", "a/b", "class\n"]


@pytest.fixture
def place(tmp_path: Path) -> Workplace:
    return Workplace(tmp_path)


def python(place: Workplace, code: str, **variables: str) -> str:
    result = run(place.service, sys.executable, "-W", "error", "-c", code, **variables)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_what_is_written_is_what_was_agreed_on(place: Workplace) -> None:
    """Byte for byte; BALI_UPDATE_GOLDEN=1 writes the golden folder anew."""
    place.done("add", "user")
    found = place.tree()
    lock = json.loads(found.pop("clients/bali.lock"))
    assert lock["clients"]["user"]["commit"] == place.git("rev-parse", "HEAD")
    if os.environ.get("BALI_UPDATE_GOLDEN"):
        shutil.rmtree(GOLDEN, ignore_errors=True)
        for name, content in found.items():
            (GOLDEN / name).parent.mkdir(parents=True, exist_ok=True)
            (GOLDEN / name).write_bytes(content)
    golden = {
        path.relative_to(GOLDEN).as_posix(): path.read_bytes()
        for path in GOLDEN.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sorted(found) == sorted(golden)
    for name, content in found.items():
        assert content.decode() == golden[name].decode(), name


def test_it_is_typed_strictly(place: Workplace) -> None:
    place.done("add", "user")
    (place.service / "use.py").write_text(
        "from clients import AsyncUserClient, UserClient\n"
        "from clients.fakes import FakeUserClient\n\n"
        "users = UserClient('localhost:1')\n"
        "name: str = users.get_user(id=1, timeout=2.0).username\n"
        "age: int | None = users.list_users().items[0].age\n\n\n"
        "async def count() -> int:\n"
        "    found = 0\n"
        "    async for user in AsyncUserClient().iter_users(page_size=5):\n"
        "        found += user.id\n"
        "    return found\n\n\n"
        "fake: UserClient = FakeUserClient()\n"
    )
    (place.service / "mypy.ini").write_text(
        "[mypy]\nstrict = True\n[mypy-google.type.*]\nignore_missing_imports = True\n"
    )
    result = run(place.service, sys.executable, "-m", "mypy", ".")
    assert result.returncode == 0, result.stdout
    (place.service / "wrong.py").write_text(
        "from clients import UserClient\n\nUserClient().get_user(idd=1)\n"
        "x: int = UserClient().get_user(id=1).username\n"
    )
    result = run(place.service, sys.executable, "-m", "mypy", "wrong.py")
    assert "Unexpected keyword argument" in result.stdout
    assert "Incompatible types in assignment" in result.stdout


def test_several_clients_are_offered_together(place: Workplace) -> None:
    (place.proto / "odd" / "keywords.proto").unlink()
    place.commit()
    place.done("add", "user")
    place.done("add", "odd")
    code = "from clients import OddClient, UserClient; print(OddClient().options.address)"
    assert python(place, code) == "odd:9080"
    assert sorted(json.loads((place.clients / "bali.lock").read_text())["clients"]) == [
        "odd",
        "user",
    ]


def test_a_second_run_changes_nothing(place: Workplace) -> None:
    place.done("add", "user")
    before = place.tree()
    result = place.done("add", "user")
    assert "nothing to do" in result.stderr
    assert result.stdout == ""
    assert place.tree() == before


def test_what_the_user_wrote_stays(place: Workplace) -> None:
    place.clients.mkdir()
    init, config = place.clients / "__init__.py", place.clients / "_config.py"
    init.write_text(
        '"""Mine."""\n\nfrom __future__ import annotations\n\nMINE = 1\n\n\ndef own() -> int:\n'
        "    return MINE\n"
    )
    config.write_text('GRPC_ADDRESSES = {"user": "users.example:1"}\n')
    place.done("add", "user")
    first = init.read_text()
    init.write_text(first + "\nLATER = 2\n")
    place.done("add", "user")
    assert init.read_text() == first + "\nLATER = 2\n"
    assert config.read_text() == 'GRPC_ADDRESSES = {"user": "users.example:1"}\n'
    code = (
        "import clients; print(clients.own(), clients.LATER, "
        "clients.UserClient().options.address, clients.__doc__)"
    )
    assert python(place, code) == "1 2 users.example:1 Mine."


def test_a_name_that_the_user_has_is_left_to_them(place: Workplace) -> None:
    place.clients.mkdir()
    (place.clients / "__init__.py").write_text("class UserClient:\n    mine = True\n")
    result = place.done("add", "user")
    assert "has a UserClient already" in result.stderr
    assert python(place, "import clients; print(clients.UserClient.mine)") == "True"
    assert python(place, "from clients import AsyncUserClient") == ""


def test_the_environment_says_where_a_service_is(place: Workplace) -> None:
    place.done("add", "user")
    code = "from clients import UserClient; print(UserClient().options.address)"
    assert python(place, code, USER_GRPC_ADDRESS="10.0.0.1:5") == "10.0.0.1:5"


def test_the_configuration_of_the_first_bali_is_understood(place: Workplace) -> None:
    place.done("add", "user")
    (place.clients / "_config.py").write_text(
        "GRPC_ADDRESS = {'host': 'grpc-server', 'port': 50051}\n"
        "GRPC_ADDRESS_EXTENDS = {'order': {'host': 'orders', 'port': 1}}\n"
        "GRPC_LOGGER = 'rpc'\nGRPC_CHANNEL_OPTIONS = None\nGRPC_CACHE = None\n"
    )
    code = "from clients import UserClient; print(UserClient().options.address)"
    assert python(place, code) == "grpc-server:50051"


def test_clients_may_be_elsewhere_and_deep(place: Workplace) -> None:
    place.done("add", "user", "--target-dir", "core/remote/clients")
    code = "from core.remote.clients import UserClient; print(UserClient.service_name)"
    assert python(place, code) == "user"


@pytest.mark.parametrize("kind", ["path", "file-url", "bare"])
def test_a_proto_repo_may_be_anywhere(place: Workplace, tmp_path: Path, kind: str) -> None:
    source = {"path": str(place.proto), "file-url": place.proto.as_uri()}.get(kind)
    if source is None:
        bare = tmp_path / "bare.git"
        place.git("clone", "--quiet", "--bare", str(place.proto), str(bare))
        source = str(bare)
    place.done("add", "user", "--from", source)
    assert json.loads((place.clients / "bali.lock").read_text())["clients"]["user"]["source"] == (
        source
    )


def test_a_revision_is_pinned(place: Workplace) -> None:
    old = place.git("rev-parse", "HEAD")
    place.git("tag", "v1")
    place.edit(
        "user/user.proto", "string username = 2;", "string username = 2;\n  string nick = 15;"
    )
    place.done("add", "user", "--ref", "v1")
    assert "nick" not in (place.clients / "intermediates/user/user_schema.py").read_text()
    place.done("add", "user")  # the lock remembers
    entry = json.loads((place.clients / "bali.lock").read_text())["clients"]["user"]
    assert (entry["ref"], entry["commit"]) == ("v1", old)


def test_what_is_not_committed_is_not_seen(place: Workplace) -> None:
    (place.proto / "user" / "user.proto").write_text("not a proto at all")
    place.done("add", "user")


def test_files_of_a_former_contract_go(place: Workplace) -> None:
    place.done("add", "user")
    assert (place.clients / "intermediates/common/types_schema.py").exists()
    place.edit("user/user.proto", 'import "common/types.proto";\n', "")
    text = (place.proto / "user/user.proto").read_text()
    kept = [line for line in text.splitlines() if "common." not in line]
    (place.proto / "user/user.proto").write_text("\n".join(kept) + "\n")
    place.commit()
    place.done("update", "user")
    assert not (place.clients / "intermediates/common").exists()
    python(place, "from clients import UserClient")


# -- outdated and update -------------------------------------------------------------------------


def test_outdated_tells_what_is_behind_and_what_breaks(place: Workplace) -> None:
    place.done("add", "user")
    assert "user: up to date" in place.done("outdated").stdout
    place.edit(
        "user/user.proto", "string username = 2;", "string username = 2;\n  string nick = 15;"
    )
    behind = place.bali("outdated")
    assert behind.returncode == 1
    assert "nothing breaks it" in behind.stdout
    place.edit("user/user.proto", "rpc GetUser(", "rpc FetchUser(")
    broken = place.bali("outdated", "user")
    assert broken.returncode == 1
    assert "breaks it in 1 place\n" in broken.stdout
    assert "GetUser" in broken.stdout
    place.done("update")
    assert "user: up to date" in place.done("outdated").stdout
    assert "def fetch_user" in (place.clients / "intermediates/user/user_client.py").read_text()


def test_a_change_elsewhere_in_the_repo_is_none(place: Workplace) -> None:
    place.done("add", "user")
    (place.proto / "other.proto").write_text('syntax = "proto3";\n')
    place.commit()
    assert "user: up to date" in place.done("outdated").stdout


def test_names_that_are_no_clients_are_refused(place: Workplace) -> None:
    result = place.bali("update")
    assert (result.returncode, result.stdout) == (1, "")
    assert "there are no clients in clients" in result.stderr
    place.done("add", "user")
    result = place.bali("outdated", "order")
    assert result.returncode == 1
    assert "there is no client of order; there is user" in result.stderr


# -- what goes wrong -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "..",
        "../x",
        "/etc",
        "User",
        "a b",
        "",
        "-x",
        "1a",
        "üser",
        "a--b",
        "a/b",
        "class\n",
        "x" * 999,
    ],
)
def test_a_bad_name_is_refused(place: Workplace, name: str) -> None:
    result = place.bali("add", "--", name)
    assert result.returncode == 1
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr
    assert place.tree() == {}


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("..", "not inside"),
        ("/elsewhere", "not inside"),
        ("a/../../b", "not inside"),
        ("my-clients", "no name for a Python package"),
        ("taken", "is a file"),
    ],
)
def test_a_bad_target_is_refused(place: Workplace, target: str, text: str) -> None:
    (place.service / "taken").write_text("x")
    result = place.bali("add", "user", "--target-dir", target)
    assert result.returncode == 1
    assert text in result.stderr
    assert place.tree() == {"taken": b"x"}


def test_a_link_does_not_lead_outside(place: Workplace, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (place.service / "clients").symlink_to(outside)
    assert "not inside" in place.bali("add", "user").stderr
    assert list(outside.iterdir()) == []


def test_no_proto_repo_is_told(place: Workplace) -> None:
    shutil.rmtree(place.proto)
    result = place.bali("add", "user")
    assert result.returncode == 1
    assert "there is no folder" in result.stderr
    assert "proto" in result.stderr


def test_an_unknown_service_is_told_with_what_there_is(place: Workplace) -> None:
    result = place.bali("add", "usr")
    assert result.returncode == 1
    assert "Did you mean user?" in result.stderr


def test_a_contract_that_does_not_compile_is_told_with_its_line(place: Workplace) -> None:
    place.edit("user/user.proto", "int64 id = 1;", "int64 id = ;")
    result = place.bali("add", "user")
    assert result.returncode == 1
    assert "user/user.proto:" in result.stderr
    assert place.tree() == {}


def test_a_contract_without_a_service_is_told(place: Workplace) -> None:
    result = place.bali("add", "common")
    assert result.returncode == 1
    assert "common/types.proto has no service" in result.stderr
    assert place.tree() == {}


def test_an_init_that_is_no_python_is_left_alone(place: Workplace) -> None:
    place.clients.mkdir()
    (place.clients / "__init__.py").write_text("def broken(:\n")
    result = place.bali("add", "user")
    assert result.returncode == 1
    assert "__init__.py:1:" in result.stderr
    assert list(place.tree()) == ["clients/__init__.py"]


@pytest.mark.parametrize("text", ["", "[]", '{"version": 9, "clients": {}}', '{"version": 1}'])
def test_a_broken_lock_is_told(place: Workplace, text: str) -> None:
    place.clients.mkdir()
    (place.clients / "bali.lock").write_text(text)
    result = place.bali("add", "user")
    assert result.returncode == 1
    assert "bali.lock" in result.stderr
    assert "Traceback" not in result.stderr
    assert list(place.tree()) == ["clients/bali.lock"]


def test_a_folder_that_may_not_be_written_is_told(place: Workplace) -> None:
    if os.geteuid() == 0:
        # Nothing is forbidden to root; a file where a folder has to be is as much in the way.
        place.clients.mkdir()
        (place.clients / "intermediates").write_text("in the way")
        before = place.tree()
    else:
        place.clients.mkdir(mode=0o500)
        before = {}
    result = place.bali("add", "user")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert place.tree() == before


def test_without_git_it_says_so(place: Workplace, tmp_path: Path) -> None:
    empty = tmp_path / "bin"
    empty.mkdir()
    result = place.bali("add", "user", PATH=str(empty))
    assert result.returncode == 1
    assert "git is not installed" in result.stderr


def test_without_network_it_says_so(place: Workplace) -> None:
    result = place.bali("add", "user", "--from", "https://127.0.0.1:1/proto.git")
    assert result.returncode == 1
    assert "https://127.0.0.1:1/proto.git" in result.stderr
    assert place.tree() == {}


def test_a_password_is_not_kept(place: Workplace) -> None:
    result = place.bali("add", "user", "--from", "https://me:secret@127.0.0.1:1/proto.git")
    assert "secret" not in result.stderr


def test_help_shows_examples() -> None:
    for command in ("add", "outdated", "update"):
        shown = subprocess.run(
            [sys.executable, "-m", "bali_cli", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert f"bali {command}" in shown
