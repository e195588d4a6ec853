"""Adding, comparing and updating the clients of a service."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bali_cli.add.describe import describe
from bali_cli.add.files import CONFIG, UTILS, exports_block, names_outside, with_block
from bali_cli.add.lockfile import LOCK_NAME, LockedClient, digest_of, lock_text, read_lock
from bali_cli.add.records import Contract
from bali_cli.add.render import render
from bali_cli.console import abort, progress
from bali_cli.git import is_url, without_credentials
from bali_cli.proto_repo import ProtoRepo
from bali_cli.protoc import ProtocError, compile_protos, descriptor_set
from bali_cli.writing import write_all

__all__ = ["DEFAULT_SOURCE", "Fetched", "add_client", "fetch"]

#: Where a team keeps its protos unless told otherwise: beside the service.
DEFAULT_SOURCE = "../proto"
_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*", re.ASCII)
_PACKAGE = '"""Clients of other services, written by `bali add`."""\n'


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A contract as a proto repo has it now: its files in a folder, and where they are from."""

    commit: str
    file: str
    folder: Path
    protos: Mapping[str, str]


def add_client(root: Path, target: Path, name: str, *, source: str, ref: str | None) -> list[Path]:
    """Write the client of service `name` into `target`; return the files that changed.

    `root` is the folder of the service that calls; a relative `source` starts there. Ends the
    process with a message for a name, repository, revision or contract that is not right, and
    leaves every file as it was then.
    """
    check_name(name)
    check_target(root, target)
    clients = read_lock(target)
    with tempfile.TemporaryDirectory() as scratch:
        fetched = fetch(root, name, Path(scratch), source=source, ref=ref)
        contract, contents = _generated(name, fetched, Path(scratch))
    _tell_of_shared(clients, name, fetched)
    former = clients.get(name)
    if without_credentials(source) != source:
        source = without_credentials(source)
        progress("The password in the address is not kept; let git know it (git help credentials).")
    clients[name] = LockedClient(
        source=source,
        ref=ref,
        commit=fetched.commit,
        file=fetched.file,
        protos=fetched.protos,
        files=tuple(contents),
        exports=_exports(contract),
    )
    return _write(target, contents, clients, former)


def check_name(name: str) -> None:
    """End the process with a message for a name that no service can have."""
    if not _NAME.fullmatch(name):
        abort(
            f"{name!r} is no name of a service.\n"
            "A name has small letters, digits, and single hyphens or underscores, like `user`."
        )


def check_target(root: Path, target: Path) -> None:
    """End the process with a message for a folder that the clients cannot be in."""
    inside = (root / target).resolve()
    if not inside.is_relative_to(root.resolve()):
        abort(f"{target} is not inside {root}; clients belong into the service that uses them.")
    if target.exists() and not target.is_dir():
        abort(f"{target} is a file, so it cannot hold clients; choose another --target-dir.")
    for part in inside.relative_to(root.resolve()).parts:
        if not part.isidentifier():
            abort(f"{part!r} in {target} is no name for a Python package; choose another.")


def fetch(root: Path, name: str, scratch: Path, *, source: str, ref: str | None) -> Fetched:
    """Return the contract of a service, exported into `scratch`/protos."""
    place = source if is_url(source) else str(root / Path(source).expanduser())
    folder = scratch / "protos"
    repo = ProtoRepo.open(place, ref)
    path = repo.find_contract(name)
    repo.export([path], folder)
    protos = {
        file.relative_to(folder).as_posix(): digest_of(file.read_bytes())
        for file in sorted(folder.rglob("*.proto"))
    }
    return Fetched(commit=repo.commit, file=path, folder=folder, protos=protos)


def _generated(name: str, fetched: Fetched, scratch: Path) -> tuple[Contract, dict[str, bytes]]:
    """Return the contract, and every generated file by its path below the target folder."""
    try:
        descriptors = descriptor_set([fetched.file], fetched.folder)
        contract = describe(name, fetched.file, descriptors)
        _check_services(contract, fetched)
        out = scratch / "compiled"
        own = [file.path for file in contract.files if not file.is_installed]
        compile_protos(own, fetched.folder, out, grpc=False)
    except ProtocError as error:
        abort(f"the contract of {name} does not compile:\n{error}")
    contents = {f"intermediates/{path}": text.encode() for path, text in render(contract).items()}
    for file in sorted(out.rglob("*.py*")):
        if file.name != "__init__.py":
            contents[f"intermediates/{file.relative_to(out).as_posix()}"] = file.read_bytes()
    for path in fetched.protos:
        contents[f"intermediates/{path}"] = (fetched.folder / path).read_bytes()
    return contract, contents


def _check_services(contract: Contract, fetched: Fetched) -> None:
    if not contract.services:
        abort(
            f"{fetched.file} has no service, so there is nothing to call.\n"
            "Add one to it, or name the service whose contract has one."
        )


def _tell_of_shared(clients: Mapping[str, LockedClient], name: str, fetched: Fetched) -> None:
    """Tell of files that another client was made from too, when they have changed since."""
    for other, entry in clients.items():
        changed = [
            path
            for path, digest in fetched.protos.items()
            if other != name and entry.protos.get(path, digest) != digest
        ]
        if changed:
            progress(
                f"{', '.join(changed)} has changed for {other} too; run `bali update {other}`."
            )


def _exports(contract: Contract) -> dict[str, tuple[str, ...]]:
    """Return what the client and fake modules of a contract offer, by file."""
    exports: dict[str, tuple[str, ...]] = {}
    for file in contract.files:
        stems = [service.stem for service in file.services]
        for ending, kind in (("client", ""), ("fake", "Fake")):
            names = [f"{way}{kind}{stem}Client" for stem in stems for way in ("", "Async")]
            if names:
                exports[f"intermediates/{'/'.join(file.module)}_{ending}.py"] = tuple(names)
    return exports


def _write(
    target: Path,
    generated: Mapping[str, bytes],
    clients: Mapping[str, LockedClient],
    former: LockedClient | None,
) -> list[Path]:
    contents = {target / path: content for path, content in generated.items()}
    contents[target / "intermediates" / "__init__.py"] = _PACKAGE.encode()
    contents[target / "_utils.py"] = UTILS.encode()
    contents[target / LOCK_NAME] = lock_text(clients).encode()
    if not (target / "_config.py").exists():
        contents[target / "_config.py"] = CONFIG.encode()
    for module, default, ending in (
        ("__init__.py", _PACKAGE, "_client.py"),
        ("fakes.py", _FAKES, "_fake.py"),
    ):
        path = target / module
        contents[path] = _with_exports(path, clients, ending, default)
    kept = {path for entry in clients.values() for path in entry.files}
    gone = [target / path for path in (former.files if former else ()) if path not in kept]
    return write_all(contents, remove=gone)


_FAKES = '"""The fakes of all clients, for tests."""\n'


def _with_exports(
    path: Path, clients: Mapping[str, LockedClient], ending: str, default: str
) -> bytes:
    """Return a module of the user's with the block that exports every client in it."""
    text = path.read_text(encoding="utf-8") if path.exists() else default
    try:
        taken = names_outside(text)
    except SyntaxError as error:
        abort(f"{path}:{error.lineno}: {error.msg}. Mend the file, then run the command again.")
    exports: dict[str, list[str]] = {}
    files = {file: names for entry in clients.values() for file, names in entry.exports.items()}
    for file, names in sorted(files.items()):
        module = "." + file.removesuffix(".py").replace("/", ".")
        if not file.endswith(ending):
            continue
        for name in sorted(names):
            if name in taken:
                progress(f"{path} has a {name} already: that of bali is in {module}.")
            else:
                exports.setdefault(module, []).append(name)
                taken.add(name)
    return with_block(text, exports_block(exports)).encode()
