"""The entry point of the `bali` command."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from typing import Annotated

import typer

from bali_cli.add.command import add, outdated, update
from bali_cli.build.command import build
from bali_cli.check.command import check
from bali_cli.db.command import db
from bali_cli.new.command import new
from bali_cli.publish.command import publish
from bali_cli.routes.command import routes
from bali_cli.run.command import run
from bali_cli.shell.command import shell

__all__ = ["app", "main"]

app = typer.Typer(
    name="bali",
    help="Develop services written with bali.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


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


# In the order in which a service meets them. Each module loads nothing but typer.
app.command()(new)
app.command()(build)
app.command()(check)
app.command()(publish)
app.command()(add)
app.command()(outdated)
app.command()(update)
app.command()(run)
app.command()(routes)
app.command()(shell)
app.add_typer(db)


def main() -> None:
    """Run the command that the command line names.

    What the machine refuses (a file that may not be written, a full disk) ends it with a line on
    stderr and exit code 1, like every other failure.
    """
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by whoever started this, as in `bali ... >&-`
            setattr(sys, name, open(os.devnull, "w"))  # noqa: PTH123, SIM115 - for the whole process
    try:
        app()
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        sys.exit(f"error: {error.strerror or error}{where}")
