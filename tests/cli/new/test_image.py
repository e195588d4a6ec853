"""The Dockerfile of a service: its steps are executed, in folders instead of containers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.new.generated import Generated, generate, serving, status
from tests.cli.new.image import Image, build, instructions
from tests.waiting import until

ROOT = Path(__file__).parents[3]
#: Where pip finds packages, and whom it trusts, on the machine that runs the tests.
PIP = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))}


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both distributions as wheels."""
    folder = tmp_path_factory.mktemp("wheels")
    sources = [str(ROOT / name) for name in ("bali-core", "bali-cli")]
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
    subprocess.run(
        [*command, "--no-build-isolation", f"--wheel-dir={folder}", *sources], check=True
    )
    return folder


@pytest.fixture(scope="module", params=[False], ids=["code-first"])
def context(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A service with what a developer's folder has besides."""
    service = generate(tmp_path_factory.mktemp("context"), "user", proto_first=request.param)
    (service.folder / ".env").write_text("SECRET_KEY=mine\n")
    (service.folder / "user.sqlite3").write_text("rows")
    (service.folder / ".venv").mkdir()
    return service.folder


@pytest.fixture(scope="module")
def image(context: Path, wheels: Path, tmp_path_factory: pytest.TempPathFactory) -> Image:
    """What the Dockerfile makes of it."""
    links = f"{wheels} {os.environ.get('PIP_FIND_LINKS', '')}".strip()
    pip = PIP | {"PIP_FIND_LINKS": links, "PIP_CONSTRAINT": str(ROOT / "constraints.txt")}
    folder = tmp_path_factory.mktemp("image")
    return build(context, folder, python=sys.executable, variables=pip)


@pytest.mark.slow
def test_it_runs_passes_its_health_check_and_stops(
    image: Image, tmp_path: Path, free_port: int
) -> None:
    variables = image.variables(
        BALI_PORT=str(free_port),
        BALI_DRAIN_DELAY_SECONDS="0",
        STAGE="dev",
        DATABASE_URL=f"sqlite:///{tmp_path / 'user.sqlite3'}",
    )

    def is_healthy() -> bool:
        command = [shutil.which(image.health[0], path=variables["PATH"]) or "", *image.health[1:]]
        check = subprocess.run(
            command, cwd=image.folder, env=variables, capture_output=True, check=False
        )
        return check.returncode == 0

    assert not is_healthy()
    program = shutil.which(image.command[0], path=variables["PATH"]) or ""
    assert program == str(image.place("/venv/bin/python"))
    with serving([program, *image.command[1:]], image.folder, free_port, variables):
        until(is_healthy, "the health check passes")
        assert status(free_port, "/users") == 200
    assert not is_healthy()


@pytest.mark.slow
def test_it_has_what_runs_and_nothing_else(image: Image) -> None:
    left_out = {".env", ".venv", ".git", "Dockerfile", "requirements_dev.txt", "tests"}
    present = {path.name for path in image.folder.iterdir()}
    assert {"main.py", "models", "resources", "services"} <= present
    assert not present & left_out
    assert not list(image.folder.rglob("*.sqlite3"))
    packages = image.place("/venv").glob("lib/python*/site-packages/*")
    names = {path.name.lower() for path in packages}
    assert {"bali", "asyncpg", "grpc"} <= names
    assert not names & {"bali_cli", "grpc_tools", "jinja2", "mypy_protobuf", "pytest", "typer"}


@pytest.mark.slow
def test_its_process_may_change_nothing(image: Image) -> None:
    assert image.user.isdigit()
    assert image.user != "0"
    assert image.environment["STAGE"] == "prod"
    assert image.environment["BALI_HOST"] == "0.0.0.0"
    assert (image.stop_signal, image.ports) == ("SIGTERM", ["8000"])


def test_the_steps_are_those_of_a_small_image(user: Generated) -> None:
    steps = list(instructions(user.folder / "Dockerfile"))
    names = [name for name, _ in steps]
    assert names.count("FROM") == 2
    last = names.index("FROM", names.index("FROM") + 1)
    runtime = steps[last:]
    assert not [rest for name, rest in runtime if name == "RUN" and "pip" in rest]
    assert not [rest for _, rest in steps if "apt-get" in rest or "gcc" in rest]
    assert [rest[0] for name, rest in runtime if name == "CMD"] == ["["]
    assert "ADD" not in names
    assert names.index("USER") < names.index("CMD")


def test_requirements_are_copied_before_the_code(user: Generated) -> None:
    copies = [rest for name, rest in instructions(user.folder / "Dockerfile") if name == "COPY"]
    assert copies == ["requirements.txt /build/requirements.txt", "--from=build /venv /venv", ". ."]
