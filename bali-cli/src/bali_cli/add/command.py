"""The command line of `bali add`, `bali outdated` and `bali update`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["add", "outdated", "update"]

_TARGET = Path("clients")
TargetDir = Annotated[
    Path, typer.Option("--target-dir", help="Folder of the clients, inside the service.")
]

Names = Annotated[list[str] | None, typer.Argument(help="Some clients; all if left out.")]


def add(
    name: Annotated[str, typer.Argument(help="The service to call, as in `user`.")],
    *,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="The proto repo, a path or git URL: what the lock says, else ../proto."
        ),
    ] = None,
    ref: Annotated[
        str | None, typer.Option(help="A branch, tag or commit instead of the default branch.")
    ] = None,
    target_dir: TargetDir = _TARGET,
) -> None:
    """Write the typed client of another service into `clients/`.

    \b
    Examples:
      bali add user                                  from the proto repo beside this folder
      bali add user --from https://host/proto.git    from a git URL
      bali add user --ref v2                         of a branch, tag or commit
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from bali_cli.add.lockfile import read_lock
    from bali_cli.add.workflow import DEFAULT_SOURCE, add_client
    from bali_cli.console import progress

    known = read_lock(target_dir).get(name)
    changed = add_client(
        Path.cwd(),
        target_dir,
        name,
        source=source or (known.source if known else DEFAULT_SOURCE),
        ref=ref or (known.ref if known and source is None else None),
    )
    _tell(changed)
    entry = read_lock(target_dir)[name]
    clients = sorted(
        client
        for file, names in entry.exports.items()
        for client in names
        if file.endswith("_client.py") and not client.startswith("Async")
    )
    package = ".".join(target_dir.parts)
    progress(f"{name} is at {entry.commit[:12]} of {entry.source}. Call it:")
    progress(f"    from {package} import {clients[0]}")
    progress(f"It is called at {name}:9080 unless {target_dir}/_config.py says otherwise.")


def outdated(
    names: Names = None,
    *,
    target_dir: TargetDir = _TARGET,
) -> None:
    """Tell which clients are behind their contracts, and whether the change breaks them.

    Exit code 1 when any is behind.

    \b
    Examples:
      bali outdated            all clients
      bali outdated user       one of them
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from bali_cli.add.compare import compare_clients

    if compare_clients(Path.cwd(), target_dir, names or []):
        raise typer.Exit(1)


def update(
    names: Names = None,
    *,
    target_dir: TargetDir = _TARGET,
) -> None:
    """Bring clients to what their contracts say now.

    \b
    Examples:
      bali update              all clients
      bali update user         one of them
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from bali_cli.add.compare import chosen
    from bali_cli.add.workflow import add_client

    changed: list[Path] = []
    for name, entry in chosen(target_dir, names or []).items():
        changed += add_client(Path.cwd(), target_dir, name, source=entry.source, ref=entry.ref)
    _tell(changed)


def _tell(changed: list[Path]) -> None:
    from bali_cli.console import progress, result

    for path in sorted(set(changed)):
        result(str(path))
    if not changed:
        progress("nothing to do: every file is as it should be")
