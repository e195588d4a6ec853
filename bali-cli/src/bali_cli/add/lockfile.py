"""`clients/bali.lock`: which contract each client was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bali_cli.console import abort

__all__ = ["LOCK_NAME", "LockedClient", "digest_of", "lock_text", "read_lock"]

LOCK_NAME = "bali.lock"
_VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedClient:
    """One client: its contract's repository, revision and file, and the files written for it.

    `source`: a path, relative to the service when it is not absolute, or a URL. `ref`: the branch,
    tag or commit that was asked for, None for the default branch. `commit`: what that was then.
    `protos`: the .proto files of the contract with the SHA-256 of each. `files`: what was written,
    relative to the folder of the lock. `exports`: the names to offer, by the file they are in.
    """

    source: str
    ref: str | None
    commit: str
    file: str
    protos: Mapping[str, str] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    exports: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def digest_of(content: bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content).hexdigest()


def read_lock(folder: Path) -> dict[str, LockedClient]:
    """Return the clients of a folder by name; none when there is no lock.

    Ends the process with a message when the file is no lock of ours.
    """
    path = folder / LOCK_NAME
    if not path.exists():
        return {}
    try:
        content: Any = json.loads(path.read_text(encoding="utf-8"))
        version = content["version"]
        clients = {
            str(name): LockedClient(
                **{
                    **entry,
                    "files": tuple(entry["files"]),
                    "exports": {key: tuple(names) for key, names in entry["exports"].items()},
                }
            )
            for name, entry in content["clients"].items()
        }
    except (ValueError, TypeError, KeyError, AttributeError, UnicodeDecodeError) as error:
        abort(
            f"{path} cannot be read: {error!r}.\n"
            "Bring it back from git, or delete it and add its clients again."
        )
    if version != _VERSION:
        abort(
            f"{path} has version {version}, and this bali-cli writes {_VERSION}.\n"
            "Use the bali-cli that wrote it, or a newer one."
        )
    return clients


def lock_text(clients: Mapping[str, LockedClient]) -> str:
    """Return the text of a lock; the same clients give the same text."""
    content = {
        "version": _VERSION,
        "clients": {
            name: {
                "source": entry.source,
                "ref": entry.ref,
                "commit": entry.commit,
                "file": entry.file,
                "protos": dict(sorted(entry.protos.items())),
                "files": sorted(entry.files),
                "exports": {key: sorted(names) for key, names in sorted(entry.exports.items())},
            }
            for name, entry in sorted(clients.items())
        },
    }
    return json.dumps(content, indent=2) + "\n"
