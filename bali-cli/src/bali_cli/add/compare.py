"""Which clients are behind their contracts, and whether the change breaks them."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from bali_cli.add.lockfile import LockedClient, read_lock
from bali_cli.add.workflow import fetch
from bali_cli.console import abort, result

__all__ = ["chosen", "compare_clients"]


def chosen(target: Path, names: Sequence[str]) -> dict[str, LockedClient]:
    """Return the clients with these names, all without names.

    Ends the process with a message when there are none, or a name is not among them.
    """
    clients = read_lock(target)
    if not clients:
        abort(f"there are no clients in {target}; `bali add NAME` writes one.")
    unknown = [name for name in names if name not in clients]
    if unknown:
        abort(f"there is no client of {', '.join(unknown)}; there is {', '.join(clients)}.")
    return {name: entry for name, entry in clients.items() if not names or name in names}


def compare_clients(root: Path, target: Path, names: Sequence[str]) -> bool:
    """Print how each client stands to its contract as it is now; tell whether any is behind."""
    is_behind = False
    for name, entry in chosen(target, names).items():
        with tempfile.TemporaryDirectory(prefix="bali-outdated-") as folder:
            fetched = fetch(root, name, Path(folder), source=entry.source, ref=entry.ref)
            if fetched.protos == entry.protos:
                result(f"{name}: up to date ({fetched.commit[:12]})")
                continue
            is_behind = True
            breaks = _breaking(target / "intermediates", entry, fetched.folder)
        places = "1 place" if len(breaks) == 1 else f"{len(breaks)} places"
        verdict = f"breaks it in {places}" if breaks else "nothing breaks it"
        result(f"{name}: {entry.commit[:12]} -> {fetched.commit[:12]}, {verdict}")
        for line in breaks:
            result(f"    {line}")
    return is_behind


def _breaking(former: Path, entry: LockedClient, folder: Path) -> list[str]:
    """Return what in the contract of now breaks a client of the former one."""
    from bali_cli.buf import breaking_changes
    from bali_cli.buf_config import BufConfig

    old = {path: (former / path).read_bytes() for path in entry.protos if (former / path).exists()}
    new = {
        file.relative_to(folder).as_posix(): file.read_bytes() for file in folder.rglob("*.proto")
    }
    # A file that is gone is told of where it is used; what is compared are those in both.
    sources = {path: Path(path) for path in new}
    found = breaking_changes(new, old, sources, BufConfig())
    return [f"{item.path}:{item.line}: {item.message}" for item in found]
