"""`bali db` as a team uses it, in processes of its own."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.database.migrations.servers import own_database
from tests.programs import run_bali

SERVICE = """
import decimal
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column
from bali import Bali, ModelResource, db

class User(db.BaseModel):
    name: Mapped[str] = mapped_column(String(50))
    # more

class UserResource(ModelResource):
    model = User

app = Bali(title="user", resources=[UserResource])
if __name__ == "__main__":
    app.start()
"""
MORE = "balance: Mapped[decimal.Decimal | None]"


@pytest.fixture
def service(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(SERVICE)
    return tmp_path


def run(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "NO_COLOR": "1", **variables}
    return run_bali(folder, "db", *arguments, env=env)


def done(folder: Path, *arguments: str, **variables: str) -> str:
    """Run a command that has to succeed, and return what it printed on stdout."""
    finished = run(folder, *arguments, **variables)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def refused(folder: Path, *arguments: str, **variables: str) -> str:
    """Run a command that has to fail in words, and return them."""
    finished = run(folder, *arguments, **variables)
    assert finished.returncode == 1, finished.stdout
    assert finished.stdout == ""
    assert finished.stderr.startswith("error: ")
    assert "Traceback" not in finished.stderr
    return finished.stderr.removeprefix("error: ")


def change(folder: Path, text: str = MORE) -> None:
    main = folder / "main.py"
    main.write_text(main.read_text().replace("# more", text))


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def address(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'it%20s.sqlite3'}"
        return
    name = {"postgresql": "postgres_url", "mariadb": "mariadb_url"}[request.param]
    with own_database(request.getfixturevalue(name)) as found:
        yield found


# What differs between databases is tried on each in tests/database/migrations.
@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("address", ["postgresql"], indirect=True)
def test_the_whole_way(service: Path, address: str) -> None:
    def bali(*arguments: str) -> str:
        return done(service, *arguments, DATABASE_URL=address)

    assert "migrations/env.py\n" in bali("init")
    first = bali("migrate", "-m", "every table").strip()
    assert re.fullmatch(r"migrations/versions/\d{8}_\d{6}_[0-9a-f]{12}_every_table\.py", first)
    assert bali("upgrade", "--sql").count("CREATE TABLE") == 3
    assert bali("current") == ""
    assert bali("upgrade") == f"applied {Path(first).stem}\n"
    assert bali("upgrade") == ""
    assert bali("migrate", "-m", "nothing") == ""
    change(service)
    differing = run(service, "check", DATABASE_URL=address)
    assert (differing.returncode, differing.stdout) == (1, "column user.balance is missing\n")
    second = bali("migrate", "-m", "add balance").strip()
    behind = run(service, "check", DATABASE_URL=address)
    assert (behind.returncode, behind.stdout) == (
        1,
        f"revision {Path(second).stem} is not applied\n",
    )
    assert bali("upgrade", "+1") == f"applied {Path(second).stem}\n"
    assert bali("check") == ""
    lines = bali("history").splitlines()
    assert [line[:2] for line in lines] == ["* ", "* "]
    assert [line.split("  ")[1] for line in lines] == ["add balance", "every table"]
    assert bali("current").strip() == lines[0][2:]
    assert bali("downgrade", "-1") == f"undone {Path(second).stem}\n"
    assert bali("upgrade") == f"applied {Path(second).stem}\n"
    assert bali("downgrade", "base", "--yes").count("undone") == 2


def test_files_sort_by_the_second_and_any_message_makes_a_file_that_parses(service: Path) -> None:
    done(service, "init")
    message = 'it\'s "quoted" """ \\ ../../größe\nand more ${1/0} % x'
    made = [done(service, "migrate", "--empty", "-m", message).strip()]
    time.sleep(1)
    made.append(done(service, "migrate", "--empty", "-m", "a").strip())
    assert made == sorted(made)
    for path in made:
        assert (service / path).parent == service / "migrations" / "versions"
        ast.parse((service / path).read_text())
    assert " ".join(message.split()) in done(service, "history")


def test_the_first_revision_makes_every_table_though_they_are_there(service: Path) -> None:
    done(service, "init")
    created = subprocess.run(
        [sys.executable, "-m", "bali_cli", "shell", "-c", "await User.aio.create(name='a')"],
        cwd=service,
        check=True,
        capture_output=True,
    )
    assert created.returncode == 0
    done(service, "migrate", "-m", "every table")
    assert "bali db stamp" in refused(service, "upgrade")
    done(service, "stamp")
    assert done(service, "upgrade") == ""
    assert done(service, "check") == ""


def test_going_back_to_nothing_needs_a_yes(service: Path) -> None:
    done(service, "init")
    done(service, "migrate", "-m", "every table")
    done(service, "upgrade")
    for revision in ("base", "-1", "-3"):
        assert "add --yes if that is wanted" in refused(service, "downgrade", revision)
    assert done(service, "check") == ""
    assert "undone" in done(service, "downgrade", "base", "--yes")


def test_what_is_wrong_with_the_folder_is_told(service: Path) -> None:
    for arguments in (["migrate", "-m", "a"], ["upgrade"], ["current"], ["history"], ["check"]):
        assert "begin with `bali db init`" in refused(service, *arguments)
    done(service, "init")
    assert "is there already" in refused(service, "init")
    assert "the message is empty" in refused(service, "migrate", "-m", " ")
    for name in ("xyz", "head-", "../x"):
        assert refused(service, "upgrade", name)
    assert "there is no revision 'xyz'" in refused(service, "upgrade", "xyz")
    made = service / done(service, "migrate", "-m", "every table").strip()
    good = made.read_text()
    made.write_text(good.replace("def upgrade() -> None:", "def upgrade( -> None:"))
    line = good.splitlines().index("def upgrade() -> None:") + 1
    for arguments in (["migrate", "-m", "b"], ["upgrade"], ["history"], ["check"]):
        assert refused(service, *arguments).startswith(f"{made}:{line}: ")
    made.write_text("import nothing_of_this_name\n" + good)
    assert refused(service, "upgrade").startswith(f"{made}:1: ModuleNotFoundError")
    made.write_text(good)
    (service / "migrations" / "env.py").write_text("1 / 0\n")
    assert refused(service, "upgrade").startswith(f"{service}/migrations/env.py:1: ZeroDivision")


def test_a_step_that_is_missing_is_said_to_come_first(service: Path) -> None:
    done(service, "init")
    done(service, "migrate", "-m", "every table")
    assert "run `bali db upgrade` first" in refused(service, "migrate", "-m", "b")


def test_two_branches_that_added_one_each_are_told_what_to_do(service: Path) -> None:
    done(service, "init")
    done(service, "migrate", "-m", "every table")
    done(service, "upgrade")
    second = service / done(service, "migrate", "--empty", "-m", "mine").strip()
    text = second.read_text()
    other = second.with_name("20990101_000000_other.py")
    name = re.search(r"revision: str = '(\w+)'", text)
    assert name is not None
    other.write_text(text.replace(name[1], "0123456789ab"))
    for arguments in (["migrate", "-m", "b"], ["upgrade"], ["check"]):
        message = refused(service, *arguments)
        assert second.name in message
        assert other.name in message
        assert "down_revision" in message


def test_a_database_of_a_newer_service_is_told(service: Path) -> None:
    done(service, "init")
    done(service, "migrate", "-m", "every table")
    change(service)
    done(service, "upgrade")
    newer = service / done(service, "migrate", "-m", "more").strip()
    done(service, "upgrade")
    newer.unlink()
    message = refused(service, "current")
    assert "which is no revision of" in message
    assert "newer than this service" in message


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:secret@127.0.0.1:1/none",
        "mysql://u:secret@127.0.0.1:1/none",
        "sqlite:////no/such/folder/x.sqlite3",
    ],
)
def test_a_database_that_does_not_answer_is_told_without_its_password(
    service: Path, url: str
) -> None:
    done(service, "init")
    for arguments in (["migrate", "-m", "a"], ["upgrade"], ["current"], ["check"]):
        message = refused(service, *arguments, DATABASE_URL=url)
        assert message.startswith("cannot connect to ")
        assert "secret" not in message


def test_outside_a_service_it_says_where_to_go(tmp_path: Path) -> None:
    assert "there is no main.py" in refused(tmp_path, "upgrade")


SEVERAL = """
from bali import Bali, Database, ModelResource
from sqlalchemy.orm import Mapped, mapped_column

users = Database("sqlite:///users.sqlite3")
reports = Database("sqlite:///reports.sqlite3")

class User(users.BaseModel):
    name: Mapped[str]

class UserResource(ModelResource):
    model = User

class Report(reports.BaseModel):
    title: Mapped[str]

class ReportResource(ModelResource):
    model = Report

app = Bali(title="user", resources=[UserResource, ReportResource])
"""


def test_of_several_databases_one_is_named_by_its_variable(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SEVERAL)
    assert "several databases: users, reports; say which" in refused(tmp_path, "init")
    assert "no database 'db'; it has users, reports" in refused(tmp_path, "init", "-d", "db")
    for name, table in (("users", "user"), ("reports", "report")):
        done(tmp_path, "init", "--database", name)
        made = tmp_path / done(tmp_path, "migrate", "-d", name, "-m", "tables").strip()
        assert made.parent == tmp_path / "migrations" / name / "versions"
        assert f"create_table('{table}'" in made.read_text()
        assert made.read_text().count("create_table(") == 2
        done(tmp_path, "upgrade", "-d", name)
        assert done(tmp_path, "check", "-d", name) == ""


def test_a_second_database_does_not_take_the_folder_of_the_first(service: Path) -> None:
    done(service, "init")
    (service / "main.py").write_text(SEVERAL)
    assert "move what is in it to" in refused(service, "upgrade", "-d", "users")


def test_help_of_every_command_has_an_example(tmp_path: Path) -> None:
    for name in ["init", "migrate", "upgrade", "downgrade", "stamp", "current", "history", "check"]:
        assert f"bali db {name}" in done(tmp_path, name, "--help")
