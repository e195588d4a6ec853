"""Tables that are older than their models, where no migrations would say so."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import Connection, inspect

from bali.database import Database

__all__ = ["warn_of_old_tables"]

_log = logging.getLogger("bali.app")


async def warn_of_old_tables(database: Database) -> None:
    """Name in the log the columns that models have and their tables lack, or otherwise.

    Of those that the database has alone, the ones that every new row would have to fill.
    """
    async with database.engine.connect() as connection:
        found = await connection.run_sync(_differences, database)
    if found:
        _log.warning(
            "the tables of %s are older than the models: %s. Drop them (or the file), and they are "
            "made anew; `bali db init` begins with migrations, which keep the rows",
            database.url.render_as_string(hide_password=True),
            ", ".join(found),
        )


def _differences(connection: Connection, database: Database) -> list[str]:
    inspector = inspect(connection)
    tables = database.metadata.sorted_tables
    found: list[str] = []
    for schema in {table.schema for table in tables}:
        columns: Any = inspector.get_multi_columns(schema=schema)
        for table in tables:
            if table.schema == schema and (schema, table.name) in columns:
                found += _of_table(table, columns[schema, table.name])
    return found


def _of_table(table: Any, stored: list[dict[str, Any]]) -> list[str]:
    there = {column["name"] for column in stored}
    missing = [
        f"{table.name}.{column.name} is missing"
        for column in table.columns
        if column.name not in there
    ]
    left = [
        f"{table.name}.{column['name']} is in the database alone, and may not be null"
        for column in stored
        if column["name"] not in table.columns
        and not column["nullable"]
        and column.get("default") is None
    ]
    return [*missing, *left]
