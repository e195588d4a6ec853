"""What differs between the models and a database, and how that is said."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from alembic.migration import MigrationContext
from sqlalchemy import JSON, Column, Computed
from sqlalchemy.dialects import mysql
from sqlalchemy.types import TypeEngine

__all__ = ["compare_type", "words_of"]

_ACTIONS = {"add": "is missing", "remove": "is in the database alone"}
_CHANGES = {
    "modify_nullable": "may be null",
    "modify_type": "type",
    "modify_default": "default of the database",
    "modify_comment": "comment",
}


def compare_type(
    context: MigrationContext,
    _inspected: Column[Any],
    _declared: Column[Any],
    inspected_type: TypeEngine[Any],
    declared_type: TypeEngine[Any],
) -> bool | None:
    """Tell whether a column's type has changed; None leaves that to Alembic."""
    if context.dialect.name in ("mysql", "mariadb"):
        is_text = isinstance(inspected_type, mysql.LONGTEXT)
        if is_text and isinstance(declared_type, JSON):
            return False  # MariaDB's JSON is a LONGTEXT
    return None


def words_of(differences: Iterable[Any]) -> list[str]:
    """Return Alembic's differences in words, one line for each."""
    return [line for item in differences for line in _lines(item)]


def _lines(difference: Any) -> Iterator[str]:
    if isinstance(difference, list):  # the changes of one column
        for change in difference:
            yield _change(change)
        return
    kind, *details = difference
    if kind == "enum":  # it comes with a column, which is told
        return
    action, _, what = kind.partition("_")
    if action not in _ACTIONS:  # comments and the like
        yield f"{kind.replace('_', ' ')}: {details[0]}"
    elif what == "column":
        _, table, column = details
        yield f"column {table}.{column.name} {_ACTIONS[action]}"
    elif what == "table":
        yield f"table {details[0].name} {_ACTIONS[action]}"
    else:
        yield f"{_constraint(what, details[0])} {_ACTIONS[action]}"


def _constraint(what: str, item: Any) -> str:
    words = {"fk": "foreign key", "index": "index", "constraint": "constraint"}
    name = f" {item.name}" if item.name else ""
    columns = ", ".join(column.name for column in item.columns)
    return f"{words.get(what, what)}{name} of {item.table.name} ({columns})"


def _change(change: Any) -> str:
    kind, _, table, column, _, database, model = change
    what = _CHANGES.get(kind, kind)
    return f"column {table}.{column}: {what} is {_shown(database)}, the model has {_shown(model)}"


def _shown(value: Any) -> str:
    argument = value.sqltext if isinstance(value, Computed) else getattr(value, "arg", value)
    if argument is True or argument is False:
        return "yes" if argument else "no"
    return "nothing" if argument is None else str(getattr(argument, "text", repr(argument)))
