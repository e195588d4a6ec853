"""The base classes of models."""

from __future__ import annotations

import datetime
import decimal
import enum
import re
import typing
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import JSON, Boolean, Column, Double, Enum, Integer, MetaData, event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncAttrs
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.orm.instrumentation import ClassManager

from bali.database.columns import columns_of
from bali.database.managers import AsyncAccess, SyncAccess
from bali.database.store import StoreAccess
from bali.database.types import Duration, ExactNumeric, UTCDateTime, coercion_of, make_exact
from bali.errors import ConfigurationError

if TYPE_CHECKING:
    from bali.database.database import Database

__all__ = ["ModelMethods", "make_models", "utc_now"]

_NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
}
_IS_EXACT = "bali_is_exact"
_ENUM = Enum(enum.Enum, native_enum=False, length=64, validate_strings=True)
#: The columns of plain annotations. Enums are text of their members' names on every database: they
#: sort alike, and a new member needs no migration.
_COLUMN_TYPES: dict[Any, Any] = {
    datetime.datetime: UTCDateTime(),
    datetime.timedelta: Duration(),
    decimal.Decimal: ExactNumeric(),
    float: Double(),
    enum.Enum: _ENUM,
    typing.Literal: _ENUM,
    dict: JSON(),
    list: JSON(),
    dict[str, Any]: JSON(),
    dict[str, str]: JSON(),
    dict[str, int]: JSON(),
    list[Any]: JSON(),
    list[str]: JSON(),
    list[int]: JSON(),
}


def utc_now() -> datetime.datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.datetime.now(datetime.UTC)


class ModelMethods:
    """What every model can do.

    `User.aio` is for asynchronous code (`await User.aio.get(1)`), `User.io` for code that blocks
    (`User.io.get(1)`). On an object they are about that object: `await user.aio.save()`,
    `user.io.save()`. The methods of the class itself are those of `io`, by the names of the first
    bali. A column may have the name of one of them.
    """

    __database__: ClassVar[Any]
    __store__ = StoreAccess()
    metadata: ClassVar[MetaData]
    aio = AsyncAccess()
    io = SyncAccess()

    if TYPE_CHECKING:

        def __init__(self, **values: Any) -> None: ...

    def save(self) -> Any:
        """Store the object as it is now and return it, from code that blocks."""
        return SyncAccess.of(self).save()

    def delete(self) -> None:
        """Remove the object's row, from code that blocks."""
        SyncAccess.of(self).delete()

    def to_dict(self) -> dict[str, Any]:
        """Return the values of the columns by attribute name."""
        return {name: getattr(self, name) for name in columns_of(type(self))}

    def dict(self) -> dict[str, Any]:
        """The same as `to_dict`."""
        return self.to_dict()

    @classmethod
    def query(cls, *conditions: Any, **filters: Any) -> Any:
        """See `SyncManager.query`."""
        return SyncAccess.of(cls).query(*conditions, **filters)

    @classmethod
    def first(cls, *conditions: Any, **filters: Any) -> Any:
        """See `SyncManager.first`."""
        return SyncAccess.of(cls).first(*conditions, **filters)

    @classmethod
    def first_or_error(cls, *conditions: Any, **filters: Any) -> Any:
        """See `SyncManager.first_or_error`."""
        return SyncAccess.of(cls).first_or_error(*conditions, **filters)

    @classmethod
    def exists(cls, *conditions: Any, **filters: Any) -> bool:
        """See `SyncManager.exists`."""
        return bool(SyncAccess.of(cls).exists(*conditions, **filters))

    @classmethod
    def count(cls, *conditions: Any, **filters: Any) -> int:
        """See `SyncManager.count`."""
        return int(SyncAccess.of(cls).count(*conditions, **filters))

    @classmethod
    def create(cls, **values: Any) -> Any:
        """See `SyncManager.create`."""
        return SyncAccess.of(cls).create(**values)

    @classmethod
    def create_or_first(cls, **values: Any) -> Any:
        """See `SyncManager.create_or_first`."""
        return SyncAccess.of(cls).create_or_first(**values)

    @classmethod
    def get_or_create(
        cls, defaults: typing.Mapping[str, Any] | None = None, **filters: Any
    ) -> tuple[Any, bool]:
        """See `SyncManager.get_or_create`."""
        return SyncAccess.of(cls).get_or_create(defaults, **filters)  # type: ignore[no-any-return]  # of a manager

    @classmethod
    def update_or_create(
        cls, defaults: typing.Mapping[str, Any] | None = None, **filters: Any
    ) -> tuple[Any, bool]:
        """See `SyncManager.update_or_create`."""
        return SyncAccess.of(cls).update_or_create(defaults, **filters)  # type: ignore[no-any-return]  # of a manager

    @classmethod
    def get_fields(cls) -> list[str]:
        """Return the names of the columns' attributes."""
        return list(columns_of(cls))


def make_models(database: Database) -> tuple[type[ModelMethods], type[ModelMethods]]:
    """Return the two base classes of a database: without columns, and with the usual ones."""

    class Model(ModelMethods, AsyncAttrs, DeclarativeBase):
        """A model with columns of its own alone."""

        __abstract__ = True
        __database__ = database
        metadata = MetaData(naming_convention=_NAMING, info={_IS_EXACT: True})
        type_annotation_map = _COLUMN_TYPES

        def __init_subclass__(cls, **options: Any) -> None:
            own = vars(cls)
            has_name = any("__tablename__" in vars(base) for base in cls.__mro__)
            if not (own.get("__abstract__", False) or has_name or "__table__" in own):
                cls.__tablename__ = _table_name(cls.__name__)
            try:
                super().__init_subclass__(**options)
            except ArgumentError as error:
                if "primary key" not in str(error):
                    raise
                raise ConfigurationError(
                    f"the model {cls.__module__}.{cls.__name__} has no key; give it one, as in "
                    "`id: Mapped[int] = mapped_column(primary_key=True)`, or derive it from "
                    "db.BaseModel"
                ) from None

    class BaseModel(Model):
        """A model with `id`, `created_time`, `updated_time` and `is_active`."""

        __abstract__ = True

        id: Mapped[int] = mapped_column(
            Integer, primary_key=True, autoincrement=True, sort_order=-10
        )
        created_time: Mapped[datetime.datetime] = mapped_column(
            default=utc_now, sort_order=-9, info={"read_only": True}
        )
        updated_time: Mapped[datetime.datetime] = mapped_column(
            default=utc_now, onupdate=utc_now, sort_order=-8, info={"read_only": True}
        )
        is_active: Mapped[bool] = mapped_column(Boolean, default=True, sort_order=-7)

    return Model, BaseModel


@event.listens_for(Column, "after_parent_attach")
def _prepare_column(column: Column[Any], parent: Any) -> None:
    """Make the type of a column exact, in tables of our databases alone."""
    metadata = getattr(parent, "metadata", None)
    if isinstance(metadata, MetaData) and metadata.info.get(_IS_EXACT):
        make_exact(column)


# Once for all databases: a listener of each would go when its database does, which may be while
# SQLAlchemy goes through the listeners for somebody else's models.
@event.listens_for(ModelMethods, "attribute_instrument", propagate=True)
def _prepare_attribute(_owner: ClassManager[Any], key: str, attribute: Any) -> None:
    """See to it that an object holds the values that will be read back."""
    columns = getattr(attribute.property, "columns", ())
    column = columns[0] if columns else None
    if column is None or not hasattr(column, "table"):
        return
    column.info.setdefault("bali_attribute", key)
    coerce = coercion_of(column)
    if coerce is not None:

        def coerced(_item: Any, value: Any, _former: Any, _initiator: Any) -> Any:
            if value is None or hasattr(value, "__clause_element__") or hasattr(value, "compile"):
                return value
            try:
                return coerce(value)
            except (ValueError, OverflowError, AttributeError):
                return value  # refused when it is stored

        event.listen(attribute, "set", coerced, retval=True, propagate=True)


def _table_name(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
