"""What `bali build` writes, worked out without writing anything."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bali_cli.build.contract import Contract, next_contract
from bali_cli.build.sources import Sources, sources_of
from bali_cli.project import Project
from bali_cli.protoc import ProtocError, compiled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bali.app import Bali

__all__ = ["OUT", "needs_app", "plan_build", "plan_of"]

#: Where the modules go, whichever folder their .proto is in.
OUT = Path("services/rpc")


def needs_app(project: Project) -> bool:
    """Tell whether the contract comes from the resources, so that the app has to be imported.

    A service with hand-written .proto alone is compiled without: its code may import what is
    yet to be written.
    """
    return sources_of(project).is_code_first


def plan_build(project: Project, app: Bali | None) -> Mapping[Path, bytes]:
    """Return the files that `bali build` would write now, with their contents, by absolute path.

    Code first: the .proto with the numbers that the committed one has locked, the descriptors for
    run time, and the modules of both; nothing when no resource is offered over gRPC. Proto first:
    the modules of each .proto alone. `app` may be None when `needs_app` says so.

    Raises `ProtocError` for a .proto that does not compile, and `ConfigurationError` for resources
    that protobuf cannot express or that contradict the lock. Ends the process when it cannot be
    told what is to be built.
    """
    sources = sources_of(project)
    contract = next_contract(project, sources, app) if sources.is_code_first and app else None
    return plan_of(project, sources, contract)


def plan_of(project: Project, sources: Sources, contract: Contract | None) -> dict[Path, bytes]:
    """Return what `plan_build` does, with the contract that is already worked out, if any."""
    planned: dict[Path, bytes] = {}
    folders = {folder: list(paths) for folder, paths in sources.folders.items() if paths}
    if contract is not None:
        planned |= {contract.path: contract.text, project.root / contract.lock: contract.descriptor}
        paths = folders.setdefault(contract.folder, [])
        if contract.path not in paths:
            paths.append(contract.path)
    for folder, paths in folders.items():
        written = {path: content for path, content in planned.items() if path in paths}
        with _mirror(folder, paths, written) as mirror:
            names = [path.relative_to(folder) for path in paths]
            for module, content in compiled(names, mirror):
                planned[project.root / OUT / module] = content
    return planned


@contextmanager
def _mirror(folder: Path, paths: Iterable[Path], written: Mapping[Path, bytes]) -> Iterator[Path]:
    """Give a folder in which the files have the content that they will have."""
    if not written:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="bali-build-") as name:
        mirror = Path(name)
        for path in {*paths, *folder.rglob("*.proto")}:
            copy = mirror / path.relative_to(folder)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(written[path] if path in written else path.read_bytes())
        try:
            yield mirror
        except ProtocError as error:
            raise ProtocError(
                [
                    replace(item, file=item.file.replace(str(mirror), str(folder)))
                    for item in error.diagnostics
                ]
            ) from None
