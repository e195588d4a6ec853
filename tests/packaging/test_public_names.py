"""What the packages offer: `__all__` is sorted, complete and importable."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys
from importlib.metadata import metadata, requires, version
from pathlib import Path

import pytest

import bali
import bali_cli

MODULES = sorted(
    module.name
    for package in (bali, bali_cli)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not any(part.startswith("_") for part in module.name.split("."))
)
PACKAGES = ["bali", *(name for name in MODULES if name.count(".") == 1)]


def reading_order(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions: the order that ruff keeps (RUF022)."""
    kind = 0 if name.isupper() else 1 if name[0].isupper() else 2
    return kind, name


@pytest.mark.parametrize("name", ["bali", *MODULES])
def test_public_names_are_sorted_and_there(name: str) -> None:
    module = importlib.import_module(name)
    names = list(getattr(module, "__all__", []))
    assert names == sorted(set(names), key=reading_order)
    missing = [public for public in names if not hasattr(module, public)]
    assert missing == []


@pytest.mark.parametrize("name", PACKAGES)
def test_each_public_package_says_what_it_offers(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    if name.partition(".")[0] != "bali_cli":  # its packages are commands: nobody imports them
        assert module.__all__


def test_bali_lists_its_names_without_loading_them() -> None:
    code = (
        "import sys, bali\n"
        "assert set(bali.__all__) <= set(dir(bali))\n"
        "heavy = {'fastapi', 'grpc', 'uvicorn', 'sqlalchemy', 'pydantic'} & set(sys.modules)\n"
        "sys.exit(f'`import bali` loaded {heavy}' if heavy else 0)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_an_unknown_name_of_bali_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = bali.no_such_name


@pytest.mark.parametrize("package", [bali, bali_cli], ids=["bali", "bali_cli"])
def test_types_are_shipped(package: object) -> None:
    folders = [Path(folder) for folder in getattr(package, "__path__", [])]
    assert any((folder / "py.typed").is_file() for folder in folders)


def test_the_command_line_wants_its_own_release_of_the_library() -> None:
    wanted = [line for line in requires("bali-cli") or [] if line.startswith("bali-core")]
    assert wanted == [f"bali-core[reload]=={version('bali-core')}"]
    assert version("bali-cli") == version("bali-core")
    assert metadata("bali-core")["Requires-Python"] == metadata("bali-cli")["Requires-Python"]
