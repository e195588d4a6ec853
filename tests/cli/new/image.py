"""Following a Dockerfile without a container: each stage is a folder, and absolute paths are in it.

Enough of the language for our own template; anything else fails.
"""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

__all__ = ["Image", "build", "instructions"]

Instruction: TypeAlias = tuple[str, str]

_CONTINUED = re.compile(r"\\\n")
_COMMENT = re.compile(r"^\s*#.*\n", re.MULTILINE)
_OWN_PATH = re.compile(r"(?<![\w.:/])/(venv|build|app)\b")
_SYSTEM = "/usr/bin:/bin"


@dataclass(kw_only=True)
class Image:
    """The last stage of a build: a folder with what is in it, and how it is to be run."""

    root: Path
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": _SYSTEM})
    workdir: str = "/"
    user: str = "root"
    stop_signal: str = ""
    ports: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    health: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The folder that the command runs in."""
        return self.place(self.workdir)

    def place(self, path: str) -> Path:
        """Return where a path of the image is on this machine."""
        return self.root / path.lstrip("/")

    def variables(self, **more: str) -> dict[str, str]:
        """Return the variables that a process in the image has."""
        found = {name: self.placed(value) for name, value in self.environment.items()}
        return found | more

    def placed(self, text: str) -> str:
        """Return a text with the paths of the image replaced by those on this machine."""
        return _OWN_PATH.sub(lambda match: str(self.place(match[0])), text)


def instructions(dockerfile: Path) -> Iterator[Instruction]:
    """Yield the instructions of a Dockerfile, each on one line."""
    text = _CONTINUED.sub(" ", _COMMENT.sub("", dockerfile.read_text()))
    for line in text.splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()


def build(context: Path, folder: Path, *, python: str, variables: Mapping[str, str]) -> Image:
    """Follow the Dockerfile of `context` in `folder`, with `python` where an image brings one.

    `variables` are known to what RUN starts, and to nothing that is left.
    """
    images: dict[str, Image] = {}
    image = Image(root=folder)
    for name, rest in instructions(context / "Dockerfile"):
        if name == "FROM":
            base, _, alias = rest.partition(" AS ")
            assert re.fullmatch(r"python:\$\{PYTHON_VERSION\}-slim", base)
            image = images[alias] = Image(root=folder / (alias or "final"))
            (image.root / "bin").mkdir(parents=True)
            (image.root / "bin" / "python").symlink_to(python)
            image.environment["PATH"] = f"{image.root / 'bin'}:{_SYSTEM}"
        elif name != "ARG":
            _follow(image, name, rest, images, context, variables)
    return image


def _follow(  # noqa: PLR0917 - one call, in the order in which they are known
    image: Image,
    name: str,
    rest: str,
    images: Mapping[str, Image],
    context: Path,
    variables: Mapping[str, str],
) -> None:
    match name:
        case "RUN":
            _run(image, rest, variables)
        case "COPY":
            _copy(image, rest.split(), images, context)
        case "ENV":
            key, _, value = rest.partition("=")
            image.environment[key] = value.replace("$PATH", image.environment["PATH"])
        case "WORKDIR":
            image.workdir = rest
            image.folder.mkdir(parents=True)
        case "USER":
            image.user = rest
        case "EXPOSE":
            image.ports.append(rest)
        case "STOPSIGNAL":
            image.stop_signal = rest
        case "HEALTHCHECK":
            image.health = json.loads(rest.partition(" CMD ")[2])
        case "CMD":
            image.command = json.loads(rest)
        case _:
            raise AssertionError(f"{name} {rest}")


def _run(image: Image, command: str, variables: Mapping[str, str]) -> None:
    if command.startswith("useradd "):
        return  # this machine's users stay as they are
    subprocess.run(
        ["/bin/sh", "-ec", image.placed(command)],
        cwd=image.folder,
        env=image.variables(**variables),
        check=True,
        capture_output=True,
    )


def _copy(image: Image, words: list[str], images: Mapping[str, Image], context: Path) -> None:
    *options, source, target = words
    if options:
        (option,) = options
        origin = images[option.removeprefix("--from=")].place(source)
        shutil.copytree(origin, image.place(target), symlinks=True)
    elif source == ".":
        assert target == "."
        ignored = (context / ".dockerignore").read_text().split()
        for item in context.iterdir():
            if not any(fnmatch.fnmatch(item.name, pattern) for pattern in ignored):
                copy = shutil.copytree if item.is_dir() else shutil.copy2
                copy(item, image.folder / item.name)
    else:
        destination = image.place(target)
        destination.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(context / source, destination)
