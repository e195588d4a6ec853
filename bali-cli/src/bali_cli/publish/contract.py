"""The contract of a service: its .proto, and their places in the repo of protos."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from bali_cli.console import abort
from bali_cli.project import Project

__all__ = ["Contract", "contract_of"]

_NAME = re.compile(r"[^\W_][\w-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """What a service publishes: `sources` has its files by their path in the repo of protos."""

    service: str
    sources: Mapping[str, Path]

    def contents(self) -> dict[str, bytes]:
        """Return the files by their path in the repo of protos, as they are now."""
        return {path: source.read_bytes() for path, source in self.sources.items()}


def contract_of(project: Project) -> Contract:
    """Return the contract of the service: `protos/user.proto` is to be `user/user.proto`.

    The files that lie beside it go beside it; those of a folder with the name of the service
    (`protos/user/...`) keep their place. Other folders have what belongs to others, and stay here.
    Ends the process when there is none, and when it cannot be told which is the service's.
    """
    folder, paths = _proto_paths(project)
    flat = [path for path in paths if "/" not in path]
    service = _service(project, folder, flat, paths)
    own = {path: folder / path for path in paths if path.startswith(f"{service}/")}
    beside = {f"{service}/{path}": folder / path for path in flat}
    twice = sorted(own.keys() & beside.keys())
    if twice:
        abort(
            f"{beside[twice[0]]} and {own[twice[0]]} would both be {twice[0]} in the repo of "
            "protos; remove one of them."
        )
    return Contract(service=service, sources=own | beside)


def _proto_paths(project: Project) -> tuple[Path, list[str]]:
    """Return the first folder with .proto files, and their paths below it."""
    paths = {
        folder: sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.proto"))
        for folder in project.proto_folders()
    }
    own = {
        folder: [path for path in found if not path.startswith("google/")]
        for folder, found in paths.items()
    }
    filled = next((folder for folder, found in own.items() if found), None)
    if filled is None:
        abort(
            f"there is no .proto in protos/ or services/rpc/ of {project.root}.\n"
            "`bali build` writes it from the resources."
        )
    return filled, own[filled]


def _service(project: Project, folder: Path, flat: list[str], paths: list[str]) -> str:
    names = sorted({PurePosixPath(path).stem for path in flat}) or sorted(
        {path.split("/")[0] for path in paths}
    )
    wanted = [name.replace("-", "_") for name in _names(project)]
    known = [name for name in names if name.replace("-", "_") in wanted]
    if len(names) != 1 and len(known) != 1:
        abort(
            f"which of the .proto in {folder} is that of the service: {', '.join(names)}?\n"
            f"Give one the name of the service ({' or '.join(wanted)}): {wanted[0]}.proto"
        )
    name = known[0] if len(known) == 1 else names[0]
    if not _NAME.fullmatch(name):
        abort(
            f"{name!r}, the name of a .proto in {folder}, cannot be the name of a service: it has "
            "to be of letters, digits, hyphens and underscores."
        )
    return name


def _names(project: Project) -> list[str]:
    """Return what the service may be called: in its pyproject.toml, and as a folder."""
    try:
        settings = tomllib.loads((project.root / "pyproject.toml").read_text(encoding="utf-8"))
    except (FileNotFoundError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        settings = {}
    table = settings.get("project")
    named = table.get("name") if isinstance(table, dict) else None
    return [*([named] if isinstance(named, str) else []), project.root.resolve().name]
