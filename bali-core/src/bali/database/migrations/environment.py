"""What `env.py` of a migrations folder does: it tells Alembic of the models and the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic import context
from alembic.migration import MigrationContext
from alembic.operations.ops import MigrationScript
from sqlalchemy import Connection, text

from bali.database.migrations.comparison import compare_type
from bali.database.migrations.rendering import add_enums, open_computed, render_item
from bali.errors import ConfigurationError

__all__ = ["run_environment"]


def run_environment(**options: Any) -> None:
    """Run what a command of `bali db` asks for; to be called by `env.py`.

    `options` are those of Alembic's `context.configure` and go before ours. Raises
    `ConfigurationError` outside `bali db`.
    """
    attributes = context.config.attributes
    database = attributes.get("database")
    if database is None:
        raise ConfigurationError("migrations run through `bali db`, which knows the service")
    connection: Connection | None = attributes.get("connection")
    settings: dict[str, Any] = {
        "target_metadata": database.metadata,
        "compare_type": compare_type,
        "compare_server_default": True,
        "render_item": render_item,
        "render_as_batch": True,  # SQLite can change a table in no other way
        "transaction_per_migration": True,
        "process_revision_directives": _process,
    }
    if "from_nothing" in attributes:  # a revision is being written: nothing is to change
        settings["dont_mutate"] = True
    if attributes.get("from_nothing"):
        settings["include_name"] = _is_no_table
    if connection is None:
        settings |= {"url": database.url, "literal_binds": True, "dialect_opts": _NAMED}
    else:
        settings |= {"connection": connection, "on_version_apply": _step_is_over}
        if connection.dialect.name == "sqlite":
            settings["transactional_ddl"] = True
    context.configure(**{**settings, **options})
    with context.begin_transaction():
        context.run_migrations()


_NAMED = {"paramstyle": "named"}


def _is_no_table(_name: str | None, kind: str, _parents: Any) -> bool:
    """Take the database as empty: the first revision makes every table."""
    return kind != "table"


def _process(ctx: MigrationContext, _revision: Any, directives: list[MigrationScript]) -> None:
    metadata = ctx.opts["target_metadata"]
    for script in directives:
        add_enums(script, metadata)
        open_computed(script)


def _step_is_over(*, ctx: MigrationContext, step: Any, **_: Any) -> None:
    """Take note of a step, whose file is still open to be undone."""
    connection = ctx.connection
    if connection is not None and connection.dialect.name == "sqlite":
        _check_references(connection)
    if not step.is_stamp:
        context.config.attributes["applied"].append(Path(step.up_revision.path).stem)


def _check_references(connection: Connection) -> None:
    """Refuse a step that leaves rows behind which refer to nothing.

    Meanwhile SQLite's own check is off, because tables are changed by making them anew.
    """
    broken = connection.execute(text("PRAGMA foreign_key_check")).first()
    if broken is not None:
        raise ConfigurationError(
            f"a row of {broken[0]!r} would refer to a row of {broken[2]!r} that is not there; "
            "this revision was undone"
        )
