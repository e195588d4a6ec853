"""A service whose operations nobody guards does not start where it is deployed."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bali import AllowAny, Bali, IsAuthenticated, Resource, action
from bali.app.shell import run_shell
from bali.errors import ConfigurationError
from bali.rest import own_router
from bali.server import StartError
from bali.settings import Settings, Stage
from bali.testing import live_server

DEPLOYED = [Stage.STAGING, Stage.PROD]


class OpenResource(Resource):
    @action(methods=["get"])
    async def read(self) -> str:
        return "read"

    @action(methods=["get"], permission_classes=[IsAuthenticated])
    async def guarded(self) -> str:
        return ""

    @action(methods=["get"])
    async def write(self) -> str:
        return ""


class PublicResource(Resource):
    permission_classes = (AllowAny,)

    @action(methods=["get"])
    async def read(self) -> str:
        return "read"


def make_app(stage: Stage, *resources: type[Resource], **settings: Any) -> Bali:
    chosen = Settings(stage=stage, secret_key="x" * 40, **settings)
    return Bali(title="open", resources=resources or [OpenResource], settings=chosen)


@pytest.mark.parametrize("stage", DEPLOYED)
def test_open_operations_are_refused_with_their_names_and_what_to_write(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(StartError) as caught, live_server(make_app(stage)):
        pass
    text = str(caught.value)
    assert "opens.read, opens.write (OpenResource)" in text
    assert "guarded" not in text
    assert "[IsAuthenticated]" in text
    assert "[AllowAny]" in text


@pytest.mark.parametrize(
    "app",
    [
        lambda: make_app(Stage.PROD, PublicResource),
        lambda: make_app(Stage.PROD, require_permissions=False),
        lambda: make_app(Stage.TEST),
        lambda: make_app(Stage.DEV),
    ],
    ids=["declared public", "switched off", "test", "dev"],
)
def test_others_start(app: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    with live_server(app()):
        pass


def test_it_can_be_asked_for_in_every_stage() -> None:
    with pytest.raises(ConfigurationError, match="OpenResource"):
        make_app(Stage.TEST, require_permissions=True).check_permissions()


def test_operations_that_have_routes_alone_count() -> None:
    app = make_app(Stage.PROD, PublicResource)
    app.include_router(own_router(OpenResource))
    with pytest.raises(ConfigurationError, match="OpenResource"):
        app.check_permissions()


def test_development_is_warned(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with caplog.at_level(logging.WARNING, "bali.app"), live_server(make_app(Stage.DEV)):
        pass
    warned = [record.getMessage() for record in caplog.records if record.name == "bali.app"]
    assert len(warned) == 1
    assert "opens.read, opens.write (OpenResource)" in warned[0]


def test_a_shell_serves_nobody_and_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_shell(make_app(Stage.PROD), "print('started')") == 0
    assert "started" in capsys.readouterr().out


PROGRAM = """
from bali import Bali, Resource, action

class OpenResource(Resource):
    @action(methods=["get"])
    async def read(self) -> str:
        return ""

app = Bali(title="open", resources=[OpenResource])

if __name__ == "__main__":
    app.start()
"""


@pytest.mark.parametrize(
    "command",
    [["main.py"], ["main.py", "--workers", "2"], ["-m", "uvicorn", "main:app"]],
    ids=["alone", "workers", "uvicorn"],
)
def test_a_program_says_it_in_words(command: list[str], tmp_path: Path, free_port: int) -> None:
    (tmp_path / "main.py").write_text(PROGRAM)
    environment = {**os.environ, "STAGE": "prod", "SECRET_KEY": "x" * 40}
    result = subprocess.run(
        [sys.executable, *command, "--port", str(free_port)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode != 0
    assert "opens.read (OpenResource)" in result.stderr
    if "uvicorn" not in command:
        assert result.stderr.startswith("error: whoever reaches the service")
        assert result.returncode == 2
