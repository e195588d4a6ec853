"""The command line of `bali db`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from bali_cli.db.service import ServiceDatabase

__all__ = ["db"]

db = typer.Typer(
    name="db",
    help="Take the tables of a database from version to version (Alembic).",
    no_args_is_help=True,
    epilog="Example: bali db init; bali db migrate -m 'every table'; bali db upgrade",
)

_Database = Annotated[
    str | None,
    typer.Option(
        "--database", "-d", metavar="NAME", help="Of several databases: the variable that holds it."
    ),
]


def _service(database: str | None) -> ServiceDatabase:
    from bali_cli.db.service import service_database

    return service_database(database)


@db.command()
def init(*, database: _Database = None) -> None:
    """Write the folder `migrations`, once.

    \b
    Example:
      bali db init
    """  # noqa: D301 - click's mark for text that is not to be wrapped
    _service(database).init()


@db.command()
def migrate(
    message: Annotated[str, typer.Option("--message", "-m", help="What the revision is for.")],
    *,
    empty: Annotated[
        bool, typer.Option("--empty", help="No operations, to write them by hand.")
    ] = False,
    database: _Database = None,
) -> None:
    """Write a revision that takes the database to what the models are. Read it before you use it.

    \b
    Examples:
      bali db migrate -m "add age"
      bali db migrate --empty -m "fill in ages"
    """  # noqa: D301 - as above
    _service(database).migrate(message, empty=empty)


@db.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="How far; +1 for the next one.")] = "head",
    *,
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL for an empty database and run nothing.")
    ] = False,
    database: _Database = None,
) -> None:
    """Run the revisions that the database lacks.

    \b
    Examples:
      bali db upgrade
      bali db upgrade +1
      bali db upgrade --sql > tables.sql
      bali db upgrade 3f2a:head --sql       from a revision on
    """  # noqa: D301 - as above
    _service(database).upgrade(revision, sql=sql)


@db.command(context_settings={"ignore_unknown_options": True})
def downgrade(
    revision: Annotated[
        str, typer.Argument(help="How far back: a revision, -1 for one step, base for all.")
    ],
    *,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Go back to nothing, and lose every row.")
    ] = False,
    database: _Database = None,
) -> None:
    """Undo revisions.

    \b
    Examples:
      bali db downgrade -1
      bali db downgrade base --yes
    """  # noqa: D301 - as above
    _service(database).downgrade(revision, yes=yes)


@db.command()
def stamp(
    revision: Annotated[str, typer.Argument(help="The revision that it is at.")] = "head",
    *,
    database: _Database = None,
) -> None:
    """Take the database as being at a revision, and run nothing.

    For tables that were there before the first revision.

    \b
    Example:
      bali db stamp
    """  # noqa: D301 - as above
    _service(database).stamp(revision)


@db.command()
def current(*, database: _Database = None) -> None:
    """Show the revision that the database is at.

    \b
    Example:
      bali db current
    """  # noqa: D301 - as above
    _service(database).current()


@db.command()
def history(*, database: _Database = None) -> None:
    """List the revisions, the last one first; `*` marks those that the database has.

    \b
    Example:
      bali db history
    """  # noqa: D301 - as above
    _service(database).history()


@db.command()
def check(*, database: _Database = None) -> None:
    """End with exit code 1 when the database is behind, or differs from the models.

    \b
    Example:
      bali db check
    """  # noqa: D301 - as above
    _service(database).check()
