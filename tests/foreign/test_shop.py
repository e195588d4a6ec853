"""The shop: two services made from nothing, one calling the other."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "shop"


@pytest.mark.timeout(600)
def test_the_demonstration_holds() -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE / "demo.py")],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env={**os.environ, "CHECK": "1"},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "One trace runs through both" in done.stdout


@pytest.mark.timeout(600)
def test_it_fails_when_an_answer_is_wrong(tmp_path: Path) -> None:
    folder = tmp_path / "shop"
    shutil.copytree(EXAMPLE, folder)
    resource = folder / "order" / "resources" / "order.py"
    text = resource.read_text()
    broken = text.replace("user_name=user.name", 'user_name="nobody"')
    assert broken != text
    resource.write_text(broken)
    done = subprocess.run(
        [sys.executable, str(folder / "demo.py")],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env={**os.environ, "CHECK": "1"},
    )
    assert done.returncode != 0
    assert "WRONG" in done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("shop_demo", EXAMPLE / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    demo: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(demo)
    folder = tmp_path_factory.mktemp("shop")
    demo.Shop(folder).make()
    return folder


@pytest.mark.parametrize("service", ["user", "order"])
@pytest.mark.parametrize(
    "command", [["pytest", "-q"], ["mypy", "."], ["ruff", "check", "."]], ids=lambda c: c[0]
)
def test_each_service_passes_its_own_checks(made: Path, service: str, command: list[str]) -> None:
    variables = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("PYTEST_", "COV_", "COVERAGE_", "STAGE", "BALI_"))
    }
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=made / service,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
