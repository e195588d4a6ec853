"""Code first: the contract that follows from the resources and from what was committed before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from bali.app import Bali
from bali.app.contract import committed_file, lock_path
from bali.proto import build_service, proto_text
from bali_cli.build.sources import HEADER, Sources
from bali_cli.console import abort
from bali_cli.project import Project
from bali_cli.protoc import descriptor_set

__all__ = ["Contract", "next_contract"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The contract as it is to be: the text of `path`, and its descriptor for run time.

    `folder` is what imports start from, `lock` where the descriptor goes, relative to the service.
    `losses` says what callers had and have no longer, in sentences.
    """

    path: Path
    folder: Path
    text: bytes
    lock: Path
    descriptor: bytes
    losses: tuple[str, ...]


def next_contract(project: Project, sources: Sources, app: Bali) -> Contract | None:
    """Return the contract of the resources; None when they offer nothing over gRPC.

    Numbers are those of the committed .proto, or of the descriptor that it left. Raises
    `ProtocError` when that one does not compile, and `ConfigurationError` when the resources
    contradict it. Ends the process when the contract was generated under another name.
    """
    shape = app.code_first_shape
    if shape is None:
        return None
    name = f"{app.contract_name}.proto"
    folders = [*sources.folders, project.root / "protos"]
    folder = next((item for item in folders if item / name in sources.generated), None)
    if folder is None:
        _refuse_other_name(project, sources, name)
        folder = project.root / "protos"
    path = folder / name
    if path in sources.generated:
        committed: FileDescriptorProto | None = descriptor_set([path], folder).file[-1]
    else:  # a .proto that was deleted has left its numbers in the descriptor for run time
        committed = committed_file(app.contract_name, shape)
    if committed is not None:
        committed.name = path.relative_to(project.root).as_posix()  # what errors call it
    bound = build_service(shape, committed)
    file = FileDescriptorProto()
    bound.file.CopyToProto(file)
    header = (
        f"{HEADER} from the resources of {' '.join(app.title.split())}.\n"
        "Field numbers are locked: do not renumber."
    )
    return Contract(
        path=path,
        folder=folder,
        text=proto_text(bound, header=header).encode(),
        lock=lock_path(app.contract_name),
        descriptor=file.SerializeToString(deterministic=True),
        losses=tuple(_losses(committed, file)) if committed is not None else (),
    )


def _refuse_other_name(project: Project, sources: Sources, name: str) -> None:
    if not sources.generated:
        return
    former = sources.generated[0]
    wanted = former.with_name(name)
    shown, new = (path.relative_to(project.root) for path in (former, wanted))
    abort(
        f"{shown} was generated from this service, whose contract is called {name} now.\n"
        f"To keep its numbers, rename it: git mv {shown} {new}\n"
        "If it belongs to nothing any more, delete it."
    )


def _losses(committed: FileDescriptorProto, file: FileDescriptorProto) -> Iterator[str]:
    for kind, former, now in (
        ("method", _methods(committed), set(_methods(file))),
        ("field", _fields(committed), set(_fields(file))),
        ("value", _values(committed), set(_values(file))),
    ):
        end = "calls of it will fail" if kind == "method" else "its number stays reserved"
        yield from (f"{kind} {name} is gone; {end}" for name in former if name not in now)


def _methods(file: FileDescriptorProto) -> list[str]:
    return [f"{owner.name}.{item.name}" for owner in file.service for item in owner.method]


def _fields(file: FileDescriptorProto) -> list[str]:
    return [f"{owner.name}.{item.name}" for owner in file.message_type for item in owner.field]


def _values(file: FileDescriptorProto) -> list[str]:
    return [f"{owner.name}.{item.name}" for owner in file.enum_type for item in owner.value]
