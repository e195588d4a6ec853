"""`bali shell`: code given to it, code piped into it, and a person at a terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell.terminal import Terminal, at_terminal
from tests.programs import run_bali

COMMAND = [sys.executable, "-m", "bali_cli", "shell"]

SERVICE = """
import contextlib

from sqlalchemy.orm import Mapped

from bali import Bali, IsAuthenticated, ModelResource, db


class User(db.BaseModel):
    name: Mapped[str]


class UserResource(ModelResource):
    model = User


@contextlib.asynccontextmanager
async def lifespan(app):
    with open("life.txt", "a") as file:
        file.write("entered ")
    yield
    with open("life.txt", "a") as file:
        file.write("left")


app = Bali(title="user", resources=[UserResource], lifespan=lifespan)

if __name__ == "__main__":
    app.start()
"""


@pytest.fixture
def service(tmp_path: Path) -> Path:
    (tmp_path / "main.py").write_text(SERVICE)
    return tmp_path


def run(
    folder: Path, *arguments: str, piped: str | None = None, command: list[str] | None = None
) -> subprocess.CompletedProcess[str]:
    if piped is None and command is None:
        return run_bali(folder, "shell", *arguments, env=os.environ)
    return subprocess.run(
        [*(command or COMMAND), *arguments],
        cwd=folder,
        input=piped or "",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_piped_code_awaits_and_has_the_tables(service: Path) -> None:
    done = run(service, piped="print(await User.aio.count())")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
    assert (service / "life.txt").read_text() == "entered left"


def test_the_program_itself_does_the_same(service: Path) -> None:
    command = [sys.executable, "main.py", "--shell"]
    done = run(service, piped="print(await User.aio.count())", command=command)
    assert (done.returncode, done.stdout, done.stderr) == (0, "0\n", "")
    assert (service / "life.txt").read_text() == "entered left"


def test_everything_is_at_hand(service: Path) -> None:
    code = """
from __future__ import annotations
made = await User.aio.create(name="ann")
print(app.title, db.backend, settings.stage.value, UserResource.model is User)
print((await call("users.get", {"id": made.id})).name)
async with db.unit():
    print(await User.aio.count())
"""
    done = run(service, "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "user sqlite dev True\nann\n1\n"


def test_blocking_and_awaiting_lines_may_take_turns(service: Path) -> None:
    code = 'User.io.create(name="a")\nprint(await User.aio.count())\nprint(User.io.count())'
    done = run(service, "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1\n1\n", "")


@pytest.mark.parametrize("code", ["\n1 / 0", "async def f():\n  1 / 0\nawait f()"])
def test_code_that_raises_shows_its_own_lines_alone(service: Path, code: str) -> None:
    for done in (run(service, "-c", code), run(service, piped=code)):
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith('Traceback (most recent call last):\n  File "<shell>", line')
        assert done.stderr.endswith("ZeroDivisionError: division by zero\n")
        assert "1 / 0" in done.stderr
        assert "bali" not in done.stderr
    assert (service / "life.txt").read_text() == "entered leftentered left"


def test_a_mistake_in_the_grammar_runs_nothing(service: Path) -> None:
    done = run(service, "-c", "print('begun')\nx =")
    assert (done.returncode, done.stdout) == (1, "")
    assert 'File "<shell>", line 2' in done.stderr
    assert done.stderr.endswith("SyntaxError: invalid syntax\n")


@pytest.mark.parametrize(
    ("code", "exit_code", "stderr"),
    [
        ("exit()", 0, ""),
        ("exit(3)", 3, ""),
        ("if not await User.aio.count(): exit(4)", 4, ""),
        ("import sys; sys.exit('nothing there')", 1, "nothing there\n"),
        ("", 0, ""),
    ],
)
def test_the_code_decides_about_the_exit_code(
    service: Path, code: str, exit_code: int, stderr: str
) -> None:
    done = run(service, "-c", code)
    assert (done.returncode, done.stderr) == (exit_code, stderr)
    assert (service / "life.txt").read_text() == "entered left"


def test_ctrl_c_ends_given_code_and_leaves_the_lifespan(service: Path) -> None:
    code = "import asyncio\nprint('begun', flush=True)\nawait asyncio.sleep(1000)"
    with subprocess.Popen(
        [*COMMAND, "-c", code], cwd=service, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, b"")
    assert (service / "life.txt").read_text() == "entered left"


def test_a_service_that_cannot_start_is_told_in_words(service: Path) -> None:
    main = service / "main.py"
    main.write_text(main.read_text().replace("lifespan=lifespan", "databases=[DB]"))
    text = 'from bali import Database\nDB = Database("postgresql://u:secret@127.0.0.1:1/none")\n'
    main.write_text(text + main.read_text())
    for command in (COMMAND, [sys.executable, "main.py", "--shell"]):
        done = run(service, piped="print(1)", command=command)
        assert done.returncode in (1, 2)
        assert done.stdout == ""
        assert done.stderr.startswith("error: ")
        assert "Traceback" not in done.stderr
        assert "secret" not in done.stderr


def test_it_stands_alone_in_a_command_line(service: Path) -> None:
    done = run(service, command=[sys.executable, "main.py", "--shell", "--http"])
    assert done.returncode == 2
    assert "--shell stands alone" in done.stderr


PROMPTS = {"stdlib": ">>> ", "ipython": "In ["}


@pytest.fixture(params=list(PROMPTS))
def terminal(
    request: pytest.FixtureRequest, service: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Terminal, str]]:
    """A person at the prompt of one kind, with the text to wait for."""
    home = tmp_path_factory.mktemp("home")
    variables = {"TERM": "xterm", "NO_COLOR": "1", "HOME": str(home), "IPYTHONDIR": str(home)}
    if request.param == "stdlib":
        (home / "sitecustomize.py").write_text("import sys\nsys.modules['IPython'] = None\n")
        variables["PYTHONPATH"] = os.pathsep.join([str(home), os.environ.get("PYTHONPATH", "")])
    with at_terminal(COMMAND, service, variables) as opened:
        opened.wait_for("At hand: User, UserResource, app, call, db, settings.")
        opened.wait_for(PROMPTS[request.param])
        yield opened, PROMPTS[request.param]


def test_a_prompt_awaits_and_goes_on_after_mistakes(
    terminal: tuple[Terminal, str], service: Path
) -> None:
    person, prompt = terminal
    for line, answer in (
        ('(await User.aio.create(name="a" + "nn")).name', "'ann'"),
        ("User.io.count() + 1233", "1234"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
        ("await nobody()", "NameError: name 'nobody' is not defined"),
        ("await User.aio.count() + 5677", "5678"),
    ):
        person.type(line)
        person.wait_for(answer)
        person.wait_for(prompt)
    person.type("exit")
    assert person.ends() == 0
    assert (service / "life.txt").read_text() == "entered left"


def test_ctrl_c_stops_what_runs_and_ctrl_d_leaves(
    terminal: tuple[Terminal, str], service: Path
) -> None:
    person, prompt = terminal
    for line in ("import asyncio, time", "t = time"):
        person.type(line)
        person.wait_for(prompt)
    for line in (
        "print('be' + 'gun'); await asyncio.sleep(1000)",
        # One long sleep would sleep through a Ctrl-C that comes the moment before it.
        "print('be' + 'gun'); any(time.sleep(0.1) for _ in range(10_000))",
    ):
        person.type(line)
        person.wait_for("begun")
        person.press("c")
        person.wait_for(prompt)
    person.type("41 + 1")
    person.wait_for("42")
    person.wait_for(prompt)
    person.press("d")
    assert person.ends() == 0
    assert (service / "life.txt").read_text() == "entered left"


def test_a_block_goes_on_until_an_empty_line(service: Path, tmp_path: Path) -> None:
    hiding = tmp_path / "hiding"
    hiding.mkdir()
    (hiding / "sitecustomize.py").write_text("import sys\nsys.modules['IPython'] = None\n")
    with at_terminal(COMMAND, service, {"PYTHONPATH": str(hiding), "TERM": "dumb"}) as person:
        person.wait_for(">>> ")
        person.type("for number in range(2):")
        person.wait_for("... ")
        person.type("    print(await User.aio.count() + number + 70)")
        person.wait_for("... ")
        person.type("")
        person.wait_for("70")
        person.wait_for("71")
        person.wait_for(">>> ")
        person.type("exit(5)")
        assert person.ends() == 5


@pytest.mark.parametrize("code", ["print(1)", "for i in range(10**6): print(i)"])
def test_a_reader_that_has_gone_is_no_traceback(service: Path, code: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "-c", code],
        cwd=service,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(timeout=60) == 141


def test_a_broken_pipe_of_the_code_itself_is_told(service: Path) -> None:
    code = "import os\nread, write = os.pipe()\nos.close(read)\nos.write(write, b'1')"
    done = run(service, "-c", code)
    assert done.returncode == 1
    assert "BrokenPipeError" in done.stderr
