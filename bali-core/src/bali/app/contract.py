"""The contract of an app: what it is called, and the numbers that the committed one has locked.

`bali build` writes `protos/user.proto`, which people read and review, and beside the modules made
of it `services/rpc/user.binpb`, the same as a serialized `FileDescriptorProto`: a service has no
compiler at run time. So what runs has the numbers that were published, whatever is declared in
which order.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

from bali.errors import ConfigurationError
from bali.proto import BoundService, ServiceShape, build_service

__all__ = ["build_locked", "committed_file", "contract_name", "lock_path"]

_log = logging.getLogger("bali.app")


def contract_name(name: str, package: str) -> str:
    """Return what the files of a contract are called: the service, or else its package."""
    return name if name.isascii() and name.isidentifier() else package.replace(".", "_")


def lock_path(name: str) -> Path:
    """Return where the locked descriptor of a contract is, relative to the service's folder."""
    return Path("services", "rpc", f"{name}.binpb")


def committed_file(name: str, shape: ServiceShape) -> FileDescriptorProto | None:
    """Return the locked descriptor of a service; None when there is none.

    It is looked for where the service's own modules are imported from (`sys.path`). One of another
    service, with another package or name, is none of ours. Raises `ConfigurationError` for a file
    that is damaged.
    """
    for folder in dict.fromkeys(sys.path):
        path = Path(folder or ".") / lock_path(name)
        if not path.is_file():
            continue
        try:
            file = FileDescriptorProto.FromString(path.read_bytes())
        except DecodeError as error:
            raise ConfigurationError(
                f"{path} is damaged, and it has the numbers of all fields; run `bali build`"
            ) from error
        if file.package == shape.package and any(s.name == shape.name for s in file.service):
            file.name = lock_path(name).as_posix()  # what errors call it
            return file
    return None


def build_locked(shape: ServiceShape, name: str, *, is_deployed: bool) -> BoundService:
    """Build a service with the numbers of the committed contract, where there is one.

    What the contract lacks gets the numbers that `bali build` will give; where it `is_deployed`,
    the log warns of that, as clients cannot know them. Raises `ConfigurationError` for resources
    that contradict the contract.
    """
    committed = committed_file(name, shape)
    bound = build_service(shape, committed)
    if committed is not None and is_deployed:
        file = FileDescriptorProto()
        bound.file.CopyToProto(file)
        committed.name = file.name
        if file != committed:
            _log.warning(
                "the resources are not what %s says; run `bali build` and commit what it writes",
                lock_path(name).as_posix(),
            )
    return bound
