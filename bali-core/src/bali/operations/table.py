"""The table of operations, and the clock that all workers share: that of the database."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from bali.database import UTCDateTime
from bali.errors import ConfigurationError

__all__ = ["TABLE_NAME", "epoch_seconds", "operations_table"]

TABLE_NAME = "bali_operations"
#: Says that the table is ours, and not a model of the same name.
_MARK = "bali_operations"


class epoch_seconds(FunctionElement[float]):  # noqa: N801 - a function of SQL
    """The present moment by the clock of the database, in seconds since 1970.

    A lease that one process writes and another reads must not depend on their own clocks.
    """

    type = Double()
    inherit_cache = True


@compiles(epoch_seconds, "sqlite")
def _for_sqlite(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(epoch_seconds, "postgresql")
def _for_postgresql(*_: Any, **__: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) AS DOUBLE PRECISION)"


@compiles(epoch_seconds, "mysql", "mariadb")
def _for_mysql(*_: Any, **__: Any) -> str:
    return "CAST(UNIX_TIMESTAMP(NOW(6)) AS DOUBLE)"


def operations_table(metadata: MetaData) -> Table:
    """Return the table of operations among the tables of a database, declared when it is new.

    Migrations and the tables of development have it from then on. Raises `ConfigurationError` when
    a model has its name.
    """
    known = metadata.tables.get(TABLE_NAME)
    if known is not None and not known.info.get(_MARK):
        raise ConfigurationError(
            f"the table {TABLE_NAME!r} is that of long-running operations (lro=True); give the "
            "model another __tablename__"
        )
    if known is not None:
        return known
    return Table(
        TABLE_NAME,
        metadata,
        # Counts up in the order of their creation.
        Column(
            "number",
            BigInteger().with_variant(Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        Column("id", String(32), nullable=False, unique=True),
        Column("service", String(200), nullable=False),
        Column("action", String(200), nullable=False),
        # A digest of the principal's id, "" for a caller who is not known.
        Column("owner", String(64), nullable=False),
        Column("state", String(16), nullable=False),
        Column("create_time", UTCDateTime, nullable=False),
        Column("end_time", UTCDateTime),
        Column("progress_percent", Integer, nullable=False, default=0),
        Column("progress_text", String(500), nullable=False, default=""),
        Column("attempt", Integer, nullable=False, default=0),
        Column("losses", Integer, nullable=False, default=0),
        Column("worker", String(32), nullable=False, default=""),
        # When others may take it over, and when a result goes, by the clock of the database.
        Column("lease_until", Double, nullable=False, default=0.0),
        Column("expires_at", Double),
        Column("is_cancelled", Boolean(create_constraint=False), nullable=False, default=False),
        Column("is_deleted", Boolean(create_constraint=False), nullable=False, default=False),
        # Who called, with what: JSON of our own (see `values`).
        Column("request", LargeBinary, nullable=False),
        # The response or the error: as JSON, and as protobuf.
        Column("result", LargeBinary),
        Column("wire_type", String(300), nullable=False, default=""),
        Column("wire", LargeBinary),
        Index("ix_bali_operations_state", "service", "state", "lease_until"),
        Index("ix_bali_operations_owner", "service", "owner", "number"),
        Index("ix_bali_operations_expires_at", "expires_at"),
        info={_MARK: True},
    )
