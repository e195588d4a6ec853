"""Services to build, and the command as its users run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.cli.new.generated import environment
from tests.programs import run_bali

LIBRARY = Path(__file__).parent / "library" / "main.py"


def build(folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `bali build` in a folder."""
    return bali(folder, "build", **variables)


def bali(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder; warnings are errors there too."""
    return run_bali(folder, *arguments, env=environment(**variables), is_strict=True)


def python(folder: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a Python program in a folder; warnings are errors there too."""
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment(**variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


def library(folder: Path, *changes: tuple[str, str]) -> Path:
    """Write the service of a library, with some of its text replaced; return its folder."""
    text = LIBRARY.read_text(encoding="utf-8")
    for former, now in changes:
        assert former in text
        text = text.replace(former, now)
    folder.mkdir(exist_ok=True)
    (folder / "main.py").write_text(text, encoding="utf-8")
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    """Return what was built in a folder: every file but its main.py and what Python caches."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts and path.name != "main.py"
    }
