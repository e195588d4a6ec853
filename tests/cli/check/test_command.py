"""`bali check` as a user runs it: everything that is wrong, at once, and the exit code."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.repos import USER, Repos

MAIN = """from bali import Bali, Resource, action


class GreetingResource(Resource):
    @action()
    async def greet(self, name: str, times: int = 1) -> str:
        \"\"\"Greet somebody.\"\"\"
        return f"hello {name}"


app = Bali(title="greeting", resources=[GreetingResource])
"""
SERVED = 'from bali import Bali\n\napp = Bali(title="user")\n'


@pytest.fixture
def greeting(repos: Repos) -> Path:
    """A service whose contract comes from its resource, as built."""
    service = repos.folder / "greeting"
    service.mkdir()
    (service / "main.py").write_text(MAIN)
    ran = repos.bali(service, "build")
    assert ran.returncode == 0, ran.stderr
    return service


@pytest.fixture
def user(repos: Repos) -> Path:
    """A service with a .proto written by hand, as built."""
    service = repos.service()
    (service / "main.py").write_text(SERVED)
    ran = repos.bali(service, "build")
    assert ran.returncode == 0, ran.stderr
    return service


def found(repos: Repos, service: Path, *arguments: str) -> str:
    """Run a check that has to find something; return what it shows."""
    ran = repos.bali(service, "check", *arguments)
    assert ran.returncode == 1, ran.stdout
    assert "finding" in ran.stderr
    return ran.stdout


def test_a_service_in_order_is_told_shortly(repos: Repos, greeting: Path, user: Path) -> None:
    repos.make()
    for service in (greeting, user):
        repos.published(service)
        ran = repos.bali(service, "check")
        assert (ran.returncode, ran.stderr) == (0, "")
        lines = [line.partition(" (against")[0] for line in ran.stdout.splitlines()]
        assert [line.partition(":")[0] for line in lines] == [
            "format",
            "lint",
            "breaking changes",
            "drift",
        ]
        assert ran.stdout.count("ok") == 4


def test_everything_that_is_wrong_is_shown_at_once(repos: Repos, user: Path) -> None:
    repos.make()
    repos.published(user)
    repos.edit(user, "  string name = 2;", "  int64 name = 2;\n\n\n")
    repos.edit(user, "KIND_ADMIN", "ADMIN")
    output = found(repos, user)
    assert "format:\n  protos/user.proto:14: is not formatted" in output
    assert "lint:\n  protos/user.proto:29:3: Enum value name" in output
    assert '  protos/user.proto:12:3: Field "2" with name "name"' in output
    assert "drift:\n  services/rpc/user_pb2.py:" in output
    for remedy in ("buf format -w protos/user.proto", "--allow-breaking", "bali build"):
        assert remedy in output


def test_a_resource_that_changed_is_drift(repos: Repos, greeting: Path) -> None:
    main = greeting / "main.py"
    main.write_text(MAIN.replace("times: int = 1", "times: float = 1, loud: bool = False"))
    output = found(repos, greeting)
    assert "drift:" in output
    main.write_text(MAIN.replace("times: int = 1", "times: int = 1, loud: bool = False"))
    output = found(repos, greeting)
    assert "protos/greeting.proto:" in output
    assert "+  optional bool loud = 3;" in output
    assert "services/rpc/greeting_pb2.py:" in output
    assert repos.bali(greeting, "build").returncode == 0
    assert repos.bali(greeting, "check").returncode == 0


def test_an_edit_of_what_is_generated_is_drift(repos: Repos, greeting: Path) -> None:
    (greeting / "services/rpc/greeting_pb2_grpc.py").write_text("")
    (greeting / "services/rpc/greeting_pb2.pyi").unlink()
    output = found(repos, greeting)
    assert "services/rpc/greeting_pb2.pyi:1: is missing" in output
    assert "services/rpc/greeting_pb2_grpc.py:1: is not what" in output


def test_resources_that_do_not_fit_a_written_proto_are_drift(repos: Repos, user: Path) -> None:
    served = MAIN.replace('title="greeting"', 'title="user", proto=user_pb2')
    served = f"from services.rpc import user_pb2\n{served}"
    (user / "main.py").write_text(served)
    ran = repos.bali(user, "check")
    assert ran.returncode == 1
    assert "service user.UserService has no method GreetGreetings" in ran.stdout


def test_what_is_generated_is_not_asked_for_its_format(repos: Repos, greeting: Path) -> None:
    proto = greeting / "protos/greeting.proto"
    proto.write_text(f"{proto.read_text()}\n\n\n")
    assert "format: ok" in found(repos, greeting)


def test_a_syntax_error_is_shown_once_with_its_line(repos: Repos, user: Path) -> None:
    proto = user / "protos/user.proto"
    proto.write_text(f"{USER}message {{\n")
    output = found(repos, user)
    assert "protos/user.proto:28:1: missing name after `message` (COMPILE)" in output
    assert output.count("28:1") == 1
    assert "drift: not checked, the .proto does not compile" in output


def test_an_app_that_fails_hides_nothing_that_others_find(repos: Repos, greeting: Path) -> None:
    (greeting / "main.py").write_text("import missing_module\n")
    (greeting / "protos/other.proto").write_text('syntax = "proto3";\npackage Other;\n')
    ran = repos.bali(greeting, "check")
    assert ran.returncode == 1
    assert "missing_module" in ran.stderr
    assert "not everything could be checked" in ran.stderr
    assert "PACKAGE_LOWER_SNAKE_CASE" in ran.stdout


def test_a_repo_that_does_not_answer_hides_nothing_that_others_find(
    repos: Repos, user: Path
) -> None:
    repos.edit(user, "KIND_ADMIN", "ADMIN")
    ran = repos.bali(user, "check", "--against", "https://127.0.0.1:1/x.git")
    assert ran.returncode == 1
    assert "cannot read the repo https://127.0.0.1:1/x.git" in ran.stderr
    assert "ENUM_VALUE_PREFIX" in ran.stdout
    assert "drift:" in ran.stdout


@pytest.mark.parametrize("against", ["mian", "0123abc", "--all", "no/folder"])
def test_what_is_neither_a_repo_nor_a_commit_is_told(
    repos: Repos, user: Path, against: str
) -> None:
    repos.git(user, "init", "-q")
    repos.commit(user, {"README": "x"})
    ran = repos.bali(user, "check", f"--against={against}")
    assert ran.returncode == 1
    assert f"{against!r} is neither the repo of protos" in ran.stderr


def test_a_commit_needs_a_repo(repos: Repos, user: Path) -> None:
    assert "is neither the repo" in repos.bali(user, "check", "--against", "main").stderr


def test_no_buf_is_told(repos: Repos, user: Path) -> None:
    code = (
        "import sys; sys.executable = '/nowhere/python'; sys.argv = ['bali', 'check']\n"
        "from bali_cli.main import main; main()"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=user,
        env={"PATH": "/usr/bin:/bin", "HOME": str(repos.folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 1
    assert "buf is not installed" in ran.stderr


def test_help_has_examples(repos: Repos) -> None:
    assert "bali check --against main" in repos.bali(repos.folder, "check", "--help").stdout


def test_a_folder_without_a_service_is_told_alone(repos: Repos, tmp_path: Path) -> None:
    ran = repos.bali(tmp_path, "check")
    assert (ran.returncode, ran.stdout) == (1, "")
    assert "there is no main.py" in ran.stderr
    assert "finding" not in ran.stderr
