"""Pinned versions name packages and versions: no address, no place on somebody's disk."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
PIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.+!]+")


def tracked(*patterns: str) -> list[Path]:
    """Return files by pattern, in the folders that are ours."""
    ignored = {"node_modules", ".git"}
    return [
        path
        for pattern in patterns
        for path in sorted(ROOT.glob(pattern))
        if not any(part in ignored or part.startswith(".venv") for part in path.parts)
    ]


def pins() -> dict[str, str]:
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    return {
        canonicalize_name(name): number
        for name, _, number in (line.partition("==") for line in lines)
    }


def test_each_line_is_a_name_and_an_exact_version() -> None:
    lines = [line for line in CONSTRAINTS.read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not PIN.fullmatch(line)] == []
    assert len(pins()) == len(lines)


@pytest.mark.parametrize(
    "path",
    tracked("constraints*.txt", "**/requirements*.txt", "**/*.lock"),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_no_requirement_names_an_address_or_a_place(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert [line for line in lines if "://" in line] == []
    assert [line for line in lines if re.search(r"(^|[\s@=])(/|[A-Za-z]:\\)", line)] == []


@pytest.mark.parametrize(
    "path", tracked("**/package-lock.json"), ids=lambda path: str(path.relative_to(ROOT))
)
def test_no_node_package_is_taken_from_an_address(path: Path) -> None:
    packages: dict[str, Any] = json.loads(path.read_text())["packages"]
    for package in packages.values():
        package.pop("funding", None)  # where its authors take donations
    assert [name for name, package in packages.items() if "://" in json.dumps(package)] == []
    assert [name for name, package in packages.items() if name and "version" not in package] == []


def test_every_direct_dependency_is_pinned_within_its_range() -> None:
    wanted: list[Requirement] = []
    for distribution in ("bali-core", "bali-cli"):
        project = tomllib.loads((ROOT / distribution / "pyproject.toml").read_text())["project"]
        extras = project.get("optional-dependencies", {}).values()
        texts = [*project["dependencies"], *(text for extra in extras for text in extra)]
        wanted += [Requirement(text) for text in texts]
    ours = {"bali-core", "bali-cli"}
    pinned = pins()
    wrong = [
        f"{item} has {pinned.get(canonicalize_name(item.name))}"
        for item in wanted
        if item.name not in ours
        and not item.specifier.contains(pinned.get(canonicalize_name(item.name), "0"))
    ]
    assert wrong == []


def test_the_tests_run_on_the_pinned_versions() -> None:
    other: dict[str, str] = {}
    for name, number in pins().items():
        try:
            if version(name) != number:
                other[name] = version(name)
        except PackageNotFoundError:
            continue  # of a group that this environment does not have
    assert other == {}


def test_one_licence_serves_both_distributions() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    for distribution in ("bali-core", "bali-cli"):
        assert (ROOT / distribution / "LICENSE").read_text() == text


def test_the_scripts_are_valid_bash() -> None:
    for script in (*tracked("scripts/*"), ROOT / ".ci" / "run"):
        if script.read_text().startswith("#!/usr/bin/env bash"):
            result = subprocess.run(
                ["bash", "-n", str(script)], capture_output=True, text=True, check=False
            )
            assert (result.returncode, result.stderr) == (0, "")
