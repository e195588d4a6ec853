"""How the types of columns are written in a revision, and what enums need besides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from alembic.autogenerate import renderers
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import (
    AddColumnOp,
    CreateTableOp,
    DropColumnOp,
    DropTableOp,
    MigrateOperation,
    MigrationScript,
    OpContainer,
)
from sqlalchemy import Column, Enum, MetaData, String, Uuid
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

__all__ = ["CreateEnum", "DropEnum", "add_enums", "open_computed", "render_item"]

_OURS = "bali.database"
_MYSQL = "sqlalchemy.dialects.mysql"


def render_item(kind: str, item: Any, context: AutogenContext) -> str | bool:
    """Return how a type is written, False to leave that to Alembic.

    It is what the database gets, so that a revision means the same for ever, whatever a later
    version of bali makes of the model.
    """
    return _type(item, context) if kind == "type" else False


def _type(kind: TypeEngine[Any], context: AutogenContext) -> str | bool:
    variants = set(kind._variant_mapping.values())  # noqa: SLF001 - `with_variant` has no other trace
    if variants:
        return _for_mysql(kind, variants, context)
    if isinstance(kind, Enum):
        return _enum(kind)
    if type(kind) is Uuid:
        return "sa.Uuid()" if kind.native_uuid else "sa.Uuid(native_uuid=False)"
    module = type(kind).__module__
    if module.startswith(_MYSQL):
        context.imports.add("from sqlalchemy.dialects import mysql")
        return f"mysql.{kind!r}"
    if isinstance(kind, TypeDecorator) and module.startswith(_OURS):
        context.imports.add(f"import {_OURS}")
        given = ((name, getattr(kind, name, None)) for name in ("precision", "scale", "length"))
        arguments = ", ".join(f"{name}={value!r}" for name, value in given if value is not None)
        return f"{_OURS}.{type(kind).__name__}({arguments})"
    return False


def _for_mysql(
    kind: TypeEngine[Any], variants: set[TypeEngine[Any]], context: AutogenContext
) -> str | bool:
    """Return a type with the one variant for MySQL and MariaDB that `make_exact` gives it."""
    dialects = sorted(kind._variant_mapping)  # noqa: SLF001 - as above
    if len(variants) > 1 or dialects != ["mariadb", "mysql"]:
        return False
    variant = _type(next(iter(variants)), context)
    if not variant or type(kind).__module__ != String.__module__ or isinstance(kind, Enum):
        return False
    return f"sa.{kind!r}.with_variant({variant}, 'mariadb', 'mysql')"


def _enum(kind: Enum) -> str:
    arguments = [repr(label) for label in kind.enums]
    if kind.name:
        arguments.append(f"name={str(kind.name)!r}")
    if kind.schema:
        arguments.append(f"schema={kind.schema!r}")
    if kind.native_enum:
        arguments.append("create_type=False")
    else:
        arguments.append(f"native_enum=False, length={kind.length!r}")
    return f"sa.Enum({', '.join(arguments)})"


class CreateEnum(MigrateOperation):
    """Make a type of PostgreSQL, which a column of a native enum needs."""

    def __init__(self, kind: Enum) -> None:
        self.kind = kind

    def reverse(self) -> DropEnum:
        """Return what undoes it."""
        return DropEnum(self.kind)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return it as a difference: it belongs to the column that is one."""
        return ("enum", self.kind)


class DropEnum(MigrateOperation):
    """Drop such a type."""

    def __init__(self, kind: Enum) -> None:
        self.kind = kind

    def reverse(self) -> CreateEnum:
        """Return what undoes it."""
        return CreateEnum(self.kind)

    def to_diff_tuple(self) -> tuple[Any, ...]:
        """Return it as a difference: it belongs to the column that is one."""
        return ("enum", self.kind)


@renderers.dispatch_for(CreateEnum)
def _render_create(_context: AutogenContext, operation: CreateEnum) -> list[str]:
    labels = ", ".join("'" + label.replace("'", "''") + "'" for label in operation.kind.enums)
    return _on_postgresql(f"CREATE TYPE {_type_name(operation.kind)} AS ENUM ({labels})")


@renderers.dispatch_for(DropEnum)
def _render_drop(_context: AutogenContext, operation: DropEnum) -> list[str]:
    return _on_postgresql(f"DROP TYPE {_type_name(operation.kind)}")


def _on_postgresql(statement: str) -> list[str]:
    escaped = statement.replace(":", r"\:")  # else the rest of a label would be a parameter
    # The empty line ends the block.
    return ['if op.get_context().dialect.name == "postgresql":', f"op.execute({escaped!r})", ""]


def _type_name(kind: Enum) -> str:
    preparer: Any = postgresql.dialect().identifier_preparer  # type: ignore[no-untyped-call]  # of SQLAlchemy
    return str(preparer.format_type(kind))


def open_computed(script: MigrationScript) -> None:
    """Leave out whether a computed column may be null, as its model does.

    MariaDB takes no NOT NULL there.
    """
    for upgrade in script.upgrade_ops_list:
        for operation in _flat(upgrade.ops):
            if isinstance(operation, CreateTableOp):
                operation.columns = [_opened(item) for item in operation.columns]
            elif isinstance(operation, AddColumnOp):
                operation.column = _opened(operation.column)


def _opened(item: Any) -> Any:
    if not isinstance(item, Column) or item.computed is None or item.table is None:
        return item
    copy: Any = item.table.to_metadata(MetaData()).columns[item.key]
    copy.nullable = None
    return copy


def add_enums(script: MigrationScript, metadata: MetaData) -> None:
    """Add the types of native enums, where a revision begins or ends to use them."""
    pairs = zip(script.upgrade_ops_list, script.downgrade_ops_list, strict=True)
    for upgrade, downgrade in pairs:
        operations = list(_flat(upgrade.ops))
        added = dict(_columns(operations, CreateTableOp, AddColumnOp))
        created = _enums(added.values())
        dropped = _enums(dict(_columns(operations, DropTableOp, DropColumnOp)).values())
        kept = _enums(
            column
            for table in metadata.tables.values()
            for column in table.columns
            if (table.schema, table.name, column.name) not in added
        )
        new = [kind for name, kind in created.items() if name not in kept]
        old = [kind for name, kind in dropped.items() if name not in {**kept, **created}]
        upgrade.ops[:0] = [CreateEnum(kind) for kind in new]
        upgrade.ops += [DropEnum(kind) for kind in old]
        downgrade.ops[:0] = [CreateEnum(kind) for kind in old]
        downgrade.ops += [DropEnum(kind) for kind in new]


def _flat(operations: Iterable[MigrateOperation]) -> Iterator[MigrateOperation]:
    for operation in operations:
        if isinstance(operation, OpContainer):
            yield from _flat(operation.ops)
        else:
            yield operation


def _columns(
    operations: Iterable[MigrateOperation], *kinds: type[MigrateOperation]
) -> Iterator[tuple[tuple[str | None, str, str], Column[Any]]]:
    """Return the columns that operations of some kinds are about, by schema, table and name."""
    for operation in operations:
        if not isinstance(operation, kinds):
            continue
        found: Iterable[Any] = ()
        if isinstance(operation, CreateTableOp):
            found = operation.columns
        elif isinstance(operation, AddColumnOp):
            found = (operation.column,)
        elif isinstance(operation, DropTableOp):
            found = operation.to_table().columns
        elif isinstance(operation, DropColumnOp):
            found = (operation.to_column(),)
        for column in found:
            if isinstance(column, Column):
                table: Any = operation
                yield (table.schema, table.table_name, column.name), column


def _enums(columns: Iterable[Column[Any]]) -> dict[tuple[str | None, str], Enum]:
    """Return the types that columns of native enums have on PostgreSQL, by schema and name."""
    return {
        (kind.schema, str(kind.name)): kind
        for column in columns
        if isinstance(kind := column.type, Enum) and kind.native_enum and kind.name
    }
