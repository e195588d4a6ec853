"""The command line of `bali new`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["new"]


def new(
    name: Annotated[
        str, typer.Argument(help="Name of the service: lower case, words joined by hyphens.")
    ],
    *,
    directory: Annotated[
        Path | None, typer.Option(help="Folder to write to, new or empty; ./NAME if left out.")
    ] = None,
    proto_first: Annotated[
        bool,
        typer.Option("--proto-first", help="Begin with a .proto and a servicer written by hand."),
    ] = False,
) -> None:
    """Write a new service: it runs, and passes its own tests.

    \b
    Examples:
      bali new user                             in ./user
      bali new order-item --proto-first         with protos/order_item.proto
      bali new user --directory ~/services/user
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    import shlex

    from bali_cli.console import abort, progress, result
    from bali_cli.new.folder import BadTarget
    from bali_cli.new.names import BadName
    from bali_cli.new.service import write_service

    try:
        target = write_service(name, directory, proto_first=proto_first)
    except (BadName, BadTarget) as error:
        abort(str(error))
    steps = [
        f"cd {shlex.quote(str(directory or name))}",
        "python3 -m venv .venv && . .venv/bin/activate",
        "pip install -r requirements_dev.txt",
        "bali build    # the contract, for other services",
        "python -m pytest",
        "python main.py",
    ]
    if proto_first:
        del steps[3]  # compiled already
    progress(f"Wrote the service {name}. What to do next:\n")
    progress("\n".join(f"  {step}" for step in steps) + "\n")
    result(str(target))
