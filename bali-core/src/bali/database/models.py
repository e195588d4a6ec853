"""The base classes of models."""

from __future__ import annotations

import datetime
import re
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import Boolean, Integer, MetaData
from sqlalchemy import inspect as sa_inspect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bali.database.managers import AsyncAccess, SyncAccess, delete_now, save_now
from bali.database.store import StoreAccess
from bali.database.types import UTCDateTime, make_exact

if TYPE_CHECKING:
    from bali.database.database import Database

__all__ = ["ModelMethods", "make_models", "utc_now"]

_NAMING = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


def utc_now() -> datetime.datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.datetime.now(datetime.UTC)


class ModelMethods:
    """What every model can do.

    `User.aio` is for asynchronous code (`await User.aio.get(1)`), `User.io` for code that blocks
    (`User.io.get(1)`). On an object they are about that object: `await user.aio.save()`.
    """

    __database__: ClassVar[Any]
    __store__ = StoreAccess()
    aio = AsyncAccess()
    io = SyncAccess()

    def save(self) -> Any:
        """Store the object as it is now and return it, from code that blocks."""
        return save_now(self)

    def delete(self) -> None:
        """Remove the object's row, from code that blocks."""
        delete_now(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the values of the columns by attribute name."""
        mapper: Any = sa_inspect(type(self))
        return {attribute.key: getattr(self, attribute.key) for attribute in mapper.column_attrs}

    def dict(self) -> dict[str, Any]:
        """The same as `to_dict`."""
        return self.to_dict()


def make_models(database: Database) -> tuple[type[Any], type[Any]]:
    """Return the two base classes of a database: without columns, and with the usual ones."""

    class Model(ModelMethods, DeclarativeBase):
        """A model with columns of its own alone."""

        __abstract__ = True
        __database__ = database
        metadata = MetaData(naming_convention=_NAMING)
        type_annotation_map = {datetime.datetime: UTCDateTime()}  # noqa: RUF012 - SQLAlchemy's form

        def __init_subclass__(cls, **options: Any) -> None:
            if "__tablename__" not in vars(cls) and not vars(cls).get("__abstract__", False):
                if not any("__tablename__" in vars(base) for base in cls.__mro__[1:]):
                    cls.__tablename__ = _table_name(cls.__name__)
            super().__init_subclass__(**options)
            table = vars(cls).get("__table__")
            if table is not None:
                for column in table.columns:
                    make_exact(column)

    class BaseModel(Model):
        """A model with `id`, `created_time`, `updated_time` and `is_active`."""

        __abstract__ = True

        id: Mapped[int] = mapped_column(
            Integer, primary_key=True, autoincrement=True, sort_order=-10
        )
        created_time: Mapped[datetime.datetime] = mapped_column(
            UTCDateTime, default=utc_now, sort_order=-9, info={"read_only": True}
        )
        updated_time: Mapped[datetime.datetime] = mapped_column(
            UTCDateTime,
            default=utc_now,
            onupdate=utc_now,
            sort_order=-8,
            info={"read_only": True},
        )
        is_active: Mapped[bool] = mapped_column(Boolean, default=True, sort_order=-7)

    return Model, BaseModel


def _table_name(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
