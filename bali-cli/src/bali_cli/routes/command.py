"""The command line of `bali routes`."""

from __future__ import annotations

from typing import Annotated

import typer

__all__ = ["routes"]


def routes(
    wanted: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILTER]",
            help="Show what has this text in its name, path or gRPC method.",
        ),
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
) -> None:
    """Show every operation of the service: REST, gRPC, and who may call it.

    `public!` marks an operation of a resource that has no permission at all. What plain FastAPI
    routes and hand-written servicers ask of their callers is their own affair and shown as `-`.

    \b
    Examples:
      bali routes                       all of them
      bali routes users                 those of the users
      bali routes --json | jq '.[] | select(.public)'
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    from bali.errors import ConfigurationError
    from bali_cli.console import abort
    from bali_cli.project import current_project
    from bali_cli.routes.operations import operations_of
    from bali_cli.routes.table import print_json, print_table

    app = current_project().load_app()
    try:
        operations = operations_of(app)
    except ConfigurationError as error:
        abort(f"the service is not right: {error}")
    if wanted is not None:
        operations = [operation for operation in operations if operation.has(wanted)]
        if not operations:
            abort(
                f"no operation, path or gRPC method has {wanted!r} in it; `bali routes` shows all"
            )
    (print_json if as_json else print_table)(operations)
