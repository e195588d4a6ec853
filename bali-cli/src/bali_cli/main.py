"""The entry point of the `bali` command."""

from __future__ import annotations

from enum import StrEnum
from importlib.metadata import version
from typing import Annotated

import typer

__all__ = ["main"]

app = typer.Typer(
    name="bali",
    help="Develop services written with bali.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


class Protocol(StrEnum):
    """What `bali run` serves, when it is not everything."""

    HTTP = "http"
    RPC = "rpc"


def _show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it with the flag's value
    if wanted:
        typer.echo(f"bali-cli {version('bali-cli')}, bali-core {version('bali-core')}")
        raise typer.Exit


@app.callback()
def bali(
    *,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the versions."),
    ] = False,
) -> None:
    """Develop services written with bali."""


@app.command()
def run(
    protocol: Annotated[
        Protocol | None, typer.Argument(help="Serve this one alone; everything if left out.")
    ] = None,
    *,
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes that share the port.")] = None,
    reload: Annotated[bool, typer.Option("--reload", help="Restart when a file changes.")] = False,
) -> None:
    """Serve the `app` of the main.py in this directory."""
    from bali_cli.run import run_service

    arguments = [] if protocol is None else [f"--{protocol}"]
    for name, value in (("--host", host), ("--port", port), ("--workers", workers)):
        if value is not None:
            arguments += [name, str(value)]
    if reload:
        arguments.append("--reload")
    run_service(arguments)


def main() -> None:
    """Run the command that the command line names."""
    app()
