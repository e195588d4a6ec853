"""Imports that were written for the first bali find what they name."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any

import pytest

from bali._former import FORMER_MODULES

NAMES = [(module, name) for module, names in FORMER_MODULES.items() for name in names]


@pytest.mark.parametrize(("module", "name"), NAMES, ids=[".".join(pair) for pair in NAMES])
def test_every_former_name_can_be_imported(module: str, name: str) -> None:
    home, _, path = FORMER_MODULES[module][name].partition(":")
    wanted: Any = importlib.import_module(home)
    for part in path.split(".") if path else ():
        wanted = getattr(wanted, part)
    scope: dict[str, Any] = {}
    exec(f"from {module} import {name}", scope)  # noqa: S102 - as a user writes it
    assert scope[name] == wanted


def test_a_module_of_the_name_does_not_hide_the_database() -> None:
    code = (
        "from bali.db import db\n"
        "import bali.db.operators\n"
        "import bali\n"
        "from bali import db as same\n"
        "assert same is db is bali.db, bali.db\n"
        "assert bali.db.connect\n"
    )
    prepared = "import bali\nassert bali.db.connect\n"
    for program in (code, prepared + code):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510 - looked at below
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("from bali.decorators import no_such", "cannot import name 'no_such'"),
        ("from bali.schemas import no_such", "cannot import name 'no_such'"),
        ("import bali.no_such", "No module named 'bali.no_such'"),
        ("import bali.utils.no_such", "No module named 'bali.utils.no_such'"),
        ("import bali.decorators.no_such", "No module named 'bali.decorators.no_such'"),
    ],
)
def test_what_was_not_there_is_not_here(statement: str, message: str) -> None:
    with pytest.raises(ImportError, match=message):
        exec(statement, {})  # noqa: S102 - as a user writes it


def test_the_names_of_a_former_module_are_listed() -> None:
    utils = importlib.import_module("bali.utils")
    assert {"MessageToDict", "timezone"} <= set(dir(utils))
    assert utils.timezone.now().tzinfo is not None
