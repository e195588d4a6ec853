"""The table of requests with an id, which makes a repeated request be done once (AIP-155).

A request is written down in the same transaction as its effects, so there is never one without the
other. A second request with the id waits on the unique key until the first has ended.
"""

from __future__ import annotations

import datetime
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Column, LargeBinary, MetaData, String, Table, delete, insert, select, update
from sqlalchemy.dialects import mysql
from sqlalchemy.ext.asyncio import AsyncSession

from bali.database.types import UTCDateTime
from bali.errors import Aborted, AlreadyExists, FieldError, ValidationFailed

if TYPE_CHECKING:
    from bali.database.database import Database

__all__ = ["REQUESTS_TABLE", "DatabaseRepeats"]

REQUESTS_TABLE = "bali_requests"

#: How long a request is remembered.
_KEPT = datetime.timedelta(hours=24)
_CLEANING_SECONDS = 600.0
_CLEANED_AT_ONCE = 1000
_cleaned: dict[int, float] = {}


class DatabaseRepeats:
    """The remembered requests of one database; see `bali.resources.Repeats`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def secret(self) -> bytes:
        """What fingerprints of requests are made with."""
        return self._database.page_token_secret

    def prepare(self) -> None:
        """Add the table to those of the database."""
        _table(self._database.metadata)

    async def claim(self, key: str, fingerprint: str) -> bytes | None:
        """Return what was answered to the request with this key, None when it is a new one."""
        table = _table(self._database.metadata)
        now = datetime.datetime.now(datetime.UTC)
        await self._clean(table, now)
        row = {"id": key, "fingerprint": fingerprint, "expire_time": now + _KEPT}

        async def add(session: AsyncSession) -> None:
            await session.execute(insert(table).values(created_time=now, **row))

        try:
            await self._database.run(add, writes=True)
        except AlreadyExists:
            return await self._known(table, row, now)
        return None

    async def remember(self, key: str, answer: bytes) -> None:
        """Keep the answer to a request that was claimed in this unit of work."""
        table = _table(self._database.metadata)

        async def work(session: AsyncSession) -> None:
            await session.execute(update(table).where(table.c.id == key).values(answer=answer))

        await self._database.run(work, writes=True)

    async def _known(
        self, table: Table, row: dict[str, Any], now: datetime.datetime
    ) -> bytes | None:
        """Return the answer of a request that is there already; take its place if it is too old."""

        async def work(session: AsyncSession) -> bytes | None:
            columns = (table.c.fingerprint, table.c.answer, table.c.expire_time)
            chosen = select(*columns).where(table.c.id == row["id"]).with_for_update()
            found = (await session.execute(chosen)).first()
            if found is None:  # it went away meanwhile
                raise Aborted
            if found.expire_time <= now:
                fresh = {**row, "created_time": now, "answer": None}
                await session.execute(update(table).where(table.c.id == row["id"]).values(fresh))
                return None
            if found.fingerprint != row["fingerprint"]:
                raise _reused()
            return found.answer or b""

        return await self._database.run(work, writes=True)

    async def _clean(self, table: Table, now: datetime.datetime) -> None:
        """Forget old requests, once in a while."""
        last = _cleaned.get(id(table))
        if last is not None and time.monotonic() - last < _CLEANING_SECONDS:
            return
        _cleaned[id(table)] = time.monotonic()

        async def work(session: AsyncSession) -> None:
            old = select(table.c.id).where(table.c.expire_time < now).limit(_CLEANED_AT_ONCE)
            keys = (await session.scalars(old)).all()
            if keys:
                await session.execute(delete(table).where(table.c.id.in_(keys)))

        async with self._database.unit(joins=False):
            await self._database.run(work, writes=True)


def _table(metadata: MetaData) -> Table:
    known = metadata.tables.get(REQUESTS_TABLE)
    if known is not None:
        return known
    blob = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
    return Table(
        REQUESTS_TABLE,
        metadata,
        Column("id", String(64), primary_key=True),
        Column("fingerprint", String(64), nullable=False),
        Column("answer", blob, nullable=True),
        Column("created_time", UTCDateTime(), nullable=False),
        Column("expire_time", UTCDateTime(), nullable=False, index=True),
    )


def _reused() -> ValidationFailed:
    text = "was used for another request; a new request needs a new id"
    return ValidationFailed(
        field_errors=[FieldError(field="request_id", reason="REQUEST_ID_REUSED", description=text)]
    )
