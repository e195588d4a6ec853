"""The command line of `bali run`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["run"]


class Protocol(StrEnum):
    """What `bali run` serves, when it is not everything."""

    HTTP = "http"
    RPC = "rpc"
    EVENT = "event"


def run(
    protocol: Annotated[
        Protocol | None, typer.Argument(help="Serve this one alone; everything if left out.")
    ] = None,
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port to listen on; 0 for a free one.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=512, help="Processes that share the port.")
    ] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Restart when a file changes.")] = False,
) -> None:
    """Serve the `app` of the main.py in this directory.

    \b
    Examples:
      bali run                          everything on port 8000
      bali run http --port 9000         HTTP alone
      bali run rpc                      gRPC alone, on port 9080
      bali run --reload                 restart when a file changes
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from bali_cli.console import abort
    from bali_cli.project import current_project

    if protocol is Protocol.EVENT:
        abort("this version of bali has no events yet; leave `event` out", exit_code=2)
    arguments = [] if protocol is None else [f"--{protocol}"]
    for name, value in (("--host", host), ("--port", port), ("--workers", workers)):
        if value is not None:
            arguments += [name, str(value)]
    if reload:
        arguments.append("--reload")
    current_project().load_app().start(arguments)
