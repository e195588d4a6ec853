"""The files of a new service, compared with those that are meant.

`BALI_UPDATE_GOLDEN=1` writes what is made over what was meant: read the difference before you
keep it.
"""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from bali_cli.new.names import MAX_LENGTH, ServiceName
from bali_cli.new.scaffold import render_service
from tests.cli.new.generated import Generated, tree

GOLDEN = Path(__file__).parent / "golden"


def test_the_tree_is_the_golden_one(user: Generated) -> None:
    golden = GOLDEN / ("proto_first" if user.proto_first else "code_first")
    if os.environ.get("BALI_UPDATE_GOLDEN") == "1":
        shutil.rmtree(golden, ignore_errors=True)
        shutil.copytree(user.folder, golden, ignore=shutil.ignore_patterns("__pycache__"))
    made, meant = tree(user.folder), tree(golden)
    assert sorted(made) == sorted(meant)
    assert [path for path in made if made[path] != meant[path]] == []


@pytest.mark.parametrize("proto_first", [False, True])
def test_the_same_name_makes_the_same_files(proto_first: bool) -> None:
    name = ServiceName.parse("order-item")
    first = render_service(name, proto_first=proto_first)
    assert render_service(name, proto_first=proto_first) == first
    assert list(first) == sorted(first)


@pytest.mark.parametrize("proto_first", [False, True])
def test_nothing_of_the_templates_is_left(proto_first: bool) -> None:
    for path, content in render_service(
        ServiceName.parse("order-item"), proto_first=proto_first
    ).items():
        assert not re.search(r"\.jinja|MODULE|PLURAL", path)
        assert not re.search(rb"(?<!\$)\{\{|\{%|User", content), path
        assert content == b"" or content.endswith(b"\n")
        assert not re.search(rb"[ \t]\n|\n\n\Z", content), path


@pytest.mark.parametrize("proto_first", [False, True])
def test_lines_may_be_as_long_as_a_long_name_makes_them(proto_first: bool) -> None:
    files = render_service(ServiceName.parse("a" * MAX_LENGTH), proto_first=proto_first)
    allowed = tomllib.loads(files["pyproject.toml"].decode())["tool"]["ruff"]["line-length"]
    lines = [
        line
        for path, content in files.items()
        if path.endswith(".py")
        for line in content.decode().splitlines()
    ]
    assert max(map(len, lines)) == allowed


@pytest.mark.parametrize("path", ["requirements.txt", "requirements_dev.txt"])
def test_the_ranges_let_the_present_version_in(path: str) -> None:
    text = render_service(ServiceName.parse("user"), proto_first=False)[path].decode()
    ours = [Requirement(line) for line in text.splitlines() if line.startswith("bali-")]
    assert ours
    for requirement in ours:
        assert requirement.specifier.contains(version(requirement.name))
        assert not requirement.specifier.contains("5.0")
