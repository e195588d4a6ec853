"""From a model to the pydantic schema of its columns."""

from __future__ import annotations

import datetime
import decimal
import functools
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, create_model
from sqlalchemy import BigInteger, Integer, LargeBinary, SmallInteger, String

from bali.database.filters import columns_of, python_type
from bali.errors import ConfigurationError
from bali.schemas.tree import SCALAR_TYPES

__all__ = ["ModelSchema", "model_to_schema"]

_RANGES: tuple[tuple[type[Any], int], ...] = ((SmallInteger, 16), (BigInteger, 64), (Integer, 32))


class ModelSchema(BaseModel):
    """The base of schemas made from models; `__model__` is the model."""

    model_config = ConfigDict(from_attributes=True)

    __model__: ClassVar[Any] = None


def model_to_schema(
    model: type[Any],
    exclude: Iterable[str] = (),
    partial: bool = False,  # noqa: FBT001, FBT002 - as in the first bali
    *,
    include: Iterable[str] | None = None,
    name: str | None = None,
) -> type[ModelSchema]:
    """Return the pydantic model of a database model's columns.

    Keys that the database makes, and time stamps that the model keeps, are read-only: always in
    a response, never needed in a request. Lengths, ranges, defaults and nulls are those of the
    columns; relations are left out. With `partial` every field may be absent. The same arguments
    give the same class. `name` names the class, and by it the message.

    Raises `ConfigurationError` for a name that is no column, and for a type of column that has no
    form on both protocols.
    """
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
    annotation = _annotation(model, key, column)
    if column.nullable:
        annotation = annotation | None
    options: dict[str, Any] = {"description": column.doc or column.comment or None}
    read_only = is_read_only(column)
    if read_only:
        options["json_schema_extra"] = {"readOnly": True}
    if read_only or partial or column.nullable or column.server_default is not None:
        options["default"] = None
    elif column.default is not None:
        default = column.default
        if default.is_scalar:
            options["default"] = default.arg
        else:
            # SQLAlchemy computes it when the row is stored; an absent field is not passed on.
            options["default"] = None
    return annotation, Field(**options)


def is_read_only(column: Any) -> bool:
    """Tell whether the database or the model alone sets a column."""
    if column.info.get("read_only") or column.computed is not None or column.identity is not None:
        return True
    has_source = column.default is not None or column.server_default is not None
    is_counted = column.table.autoincrement_column is column
    return bool(column.primary_key and (is_counted or has_source))


def _annotation(model: type[Any], key: str, column: Any) -> Any:
    kind = column.type
    try:
        python = python_type(column)
    except NotImplementedError:
        raise _unsupported(model, key, column) from None
    if python is str and isinstance(kind, String):
        return Annotated[str, Field(max_length=kind.length)] if kind.length else str
    if python is bytes and isinstance(kind, LargeBinary):
        return Annotated[bytes, Field(max_length=kind.length)] if kind.length else bytes
    if python is int:
        bits = next((bits for base, bits in _RANGES if isinstance(kind, base)), 64)
        return Annotated[int, Field(ge=-(2 ** (bits - 1)), le=2 ** (bits - 1) - 1)]
    if python is decimal.Decimal:
        return _decimal(kind)
    if python is datetime.datetime:
        return Annotated[datetime.datetime, AfterValidator(_in_utc)]
    if python is Any or python in SCALAR_TYPES or hasattr(python, "__members__"):
        return python
    if python in (dict, list):
        return Any
    raise _unsupported(model, key, column)


def _decimal(kind: Any) -> Any:
    scale, precision = getattr(kind, "scale", None), getattr(kind, "precision", None)
    if scale is None:
        return decimal.Decimal
    unit = decimal.Decimal(1).scaleb(-scale)
    context = decimal.Context(prec=max(precision or 0, 60))

    def in_units(value: decimal.Decimal) -> decimal.Decimal:
        return value.quantize(unit, context=context)

    limits = Field(max_digits=precision, decimal_places=scale)
    return Annotated[decimal.Decimal, limits, AfterValidator(in_units)]


def _in_utc(value: datetime.datetime) -> datetime.datetime:
    if value.tzinfo is None:
        return value.replace(tzinfo=datetime.UTC)
    return value.astimezone(datetime.UTC)


def _unsupported(model: type[Any], key: str, column: Any) -> ConfigurationError:
    return ConfigurationError(
        f"{model.__module__}.{model.__name__}.{key}: a column of type {column.type!r} has no form "
        f"on both protocols; leave it out with model_to_schema({model.__name__}, "
        f"exclude=[{key!r}])"
    )
