"""From a model to the pydantic schema of its columns."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, create_model

from bali.database.columns import annotation_of, columns_of, is_input_only
from bali.errors import ConfigurationError
from bali.schemas.behaviour import IMMUTABLE, INPUT_ONLY, OUTPUT_ONLY

__all__ = ["ModelSchema", "is_read_only", "model_to_schema"]


class ModelSchema(BaseModel):
    """The base of schemas made from models; `__model__` is the model."""

    model_config = ConfigDict(
        from_attributes=True, json_schema_serialization_defaults_required=True
    )

    __model__: ClassVar[Any] = None

    if TYPE_CHECKING:  # its fields are known when it is made

        def __getattr__(self, name: str) -> Any: ...


def model_to_schema(
    model: type[Any],
    exclude: Iterable[str] = (),
    partial: bool = False,  # noqa: FBT001, FBT002 - as in the first bali
    *,
    include: Iterable[str] | None = None,
    name: str | None = None,
) -> type[ModelSchema]:
    """Return the pydantic model of a database model's columns.

    Keys that the database makes, computed columns, and time stamps that the model keeps are
    read-only: always in a response, never needed in a request. So is a column declared with
    `info={"read_only": True}`. `info={"input_only": True}` keeps a column out of every answer, and
    `info={"immutable": True}` from being changed. Lengths, ranges, defaults and nulls are those of
    the columns; relations are left out. With `partial` every field may be absent. The same
    arguments give the same class. `name` names the class, and by it the message.

    Raises `ConfigurationError` for what is no model, for a name that is no column, and for a type
    of column that has no form on both protocols.
    """
    if not hasattr(model, "__mapper__"):
        raise ConfigurationError(
            f"model_to_schema({model!r}): this is no database model; derive it from `db.Model` or "
            "`db.BaseModel`, and pass the class"
        )
    chosen = None if include is None else tuple(include)
    hashable: Any = model
    return _schema(hashable, tuple(exclude), bool(partial), chosen, name)


@functools.lru_cache(maxsize=1024)
def _schema(
    model: type[Any],
    exclude: tuple[str, ...],
    partial: bool,  # noqa: FBT001 - a cache key
    include: tuple[str, ...] | None,
    name: str | None,
) -> type[ModelSchema]:
    columns = columns_of(model)
    for unknown in [item for item in (*exclude, *(include or ())) if item not in columns]:
        raise ConfigurationError(
            f"model_to_schema({model.__name__}): there is no column {unknown!r}; there are "
            f"{', '.join(columns)}"
        )
    fields: dict[str, Any] = {
        key: _field(model, key, column, partial=partial)
        for key, column in columns.items()
        if key not in exclude and (include is None or key in include)
    }
    schema = create_model(
        name or _class_name(model, exclude, include, partial=partial),
        __base__=ModelSchema,
        __module__=model.__module__,
        __doc__=model.__doc__,
        **fields,
    )
    schema.__model__ = model
    return schema


def is_read_only(column: Any) -> bool:
    """Tell whether the database or the model alone sets a column."""
    if column.info.get("read_only") or column.computed is not None or column.identity is not None:
        return True
    has_source = column.default is not None or column.server_default is not None
    is_counted = column.table.autoincrement_column is column
    return bool(column.primary_key and (is_counted or has_source))


def _class_name(
    model: type[Any], exclude: tuple[str, ...], include: tuple[str, ...] | None, *, partial: bool
) -> str:
    parts = [model.__name__, "Partial" if partial else ""]
    if exclude:
        parts.append("Without" + "".join(map(_camel, exclude)))
    if include is not None:
        parts.append("With" + "".join(map(_camel, include)))
    return "".join(parts) + "Schema"


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def _field(model: type[Any], key: str, column: Any, *, partial: bool) -> tuple[Any, Any]:
    where = f"{model.__module__}.{model.__name__}.{key}"
    annotation = annotation_of(column, where=where)
    if column.nullable and annotation is not Any:
        annotation = annotation | None
    options: dict[str, Any] = {"description": column.doc or column.comment or None}
    read_only = is_read_only(column)
    default = column.default
    options |= _behaviour(column, where=where)
    if not (read_only or partial) and default is not None and default.is_scalar:
        options["default"] = default.arg
    elif column.nullable and default is None and column.server_default is None and not partial:
        options["default"] = None
    elif read_only or partial or default is not None or column.server_default is not None:
        # The model or the database makes it when the row is stored; absent is not null.
        options["default_factory"] = _absent
    return annotation, Field(**options)


def _behaviour(column: Any, *, where: str) -> dict[str, Any]:
    """Return what `Field` is told of a column's behaviour (AIP-203)."""
    input_only, immutable = is_input_only(column), bool(column.info.get("immutable"))
    if input_only and (is_read_only(column) or column.primary_key):
        raise ConfigurationError(
            f"{where}: a column that is input-only is set by callers and is no key"
        )
    marks = {OUTPUT_ONLY: is_read_only(column), INPUT_ONLY: input_only, IMMUTABLE: immutable}
    extra = {name: True for name, is_marked in marks.items() if is_marked}
    options: dict[str, Any] = {"json_schema_extra": extra} if extra else {}
    if input_only:
        options["repr"] = False
    return options


def _absent() -> None:
    return None
