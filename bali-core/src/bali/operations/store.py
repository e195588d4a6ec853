"""Operations in the database: every statement, and who may change what.

A worker that has claimed an operation writes to it only while it is still the one that has it, in
that attempt. So one that was thought lost and comes back changes nothing.
"""

from __future__ import annotations

import datetime
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Row, Table, and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from bali.database import Database
from bali.operations.table import epoch_seconds, operations_table
from bali.resources import OperationState

__all__ = ["DONE", "Claim", "OperationStore", "Outcome", "StoredOperation"]

T = TypeVar("T")

#: The states that an operation does not leave.
DONE = frozenset({OperationState.SUCCEEDED, OperationState.FAILED, OperationState.CANCELLED})
_DONE = tuple(sorted(state.value for state in DONE))
_PENDING, _RUNNING = OperationState.PENDING.value, OperationState.RUNNING.value
_MAX_TEXT_LENGTH = 500
_CHUNK = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an operation has ended: its state, and its response or error as JSON and protobuf.

    `wire` is the message of the type `wire_type`; a `google.rpc.Status` without a type.
    """

    state: OperationState
    result: bytes
    wire_type: str = ""
    wire: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredOperation:
    """One operation as its caller may see it. `outcome` is None until it is done."""

    number: int
    id: str
    action: str
    state: OperationState
    progress_percent: int
    progress_text: str
    attempt: int
    create_time: datetime.datetime
    end_time: datetime.datetime | None
    outcome: Outcome | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One operation that a worker may perform.

    `losses`: how many workers were lost with it. `is_cancelled`: its caller has given it up.
    """

    id: str
    action: str
    attempt: int
    losses: int
    is_cancelled: bool
    request: bytes


class OperationStore:
    """The operations of one service in one database.

    Within a unit of work its methods take part in it. They raise what `mapped_errors` does.
    """

    def __init__(self, database: Database, service: str) -> None:
        self.database = database
        self._service = service
        self._table: Table = operations_table(database.metadata)

    # -- for callers ---------------------------------------------------------------------------

    async def add(self, operation_id: str, action: str, owner: str, request: bytes) -> None:
        """Store a new operation."""
        statement = insert(self._table).values(
            id=operation_id,
            service=self._service,
            action=action,
            owner=owner,
            state=_PENDING,
            create_time=datetime.datetime.now(datetime.UTC),
            request=request,
        )
        await self._execute(statement)

    async def get(self, operation_id: str, owner: str) -> StoredOperation | None:
        """Return an operation of this owner, None when there is none."""
        rows = await self._rows(self._visible(owner, self._table.c.id == operation_id))
        return _stored(rows[0]) if rows else None

    async def page(self, owner: str, before: int | None, limit: int) -> list[StoredOperation]:
        """Return operations of an owner, the newest first, those below a number."""
        columns = self._table.c
        statement = self._visible(owner)
        if before is not None:
            statement = statement.where(columns.number < before)
        rows = await self._rows(statement.order_by(columns.number.desc()).limit(limit))
        return [_stored(row) for row in rows]

    async def cancel(
        self, operation_id: str, owner: str, outcome: Outcome, retention_seconds: float
    ) -> None:
        """End an operation that has not begun with `outcome`; ask a running one to end."""
        columns = self._table.c
        mine = and_(columns.id == operation_id, self._owned(owner))
        ended = self._ended(outcome, retention_seconds)
        pending = update(self._table).where(mine, columns.state == _PENDING).values(**ended)
        if await self._execute(pending) == 0:
            running = update(self._table).where(mine, columns.state == _RUNNING)
            await self._execute(running.values(is_cancelled=True))

    async def delete(self, operation_id: str, owner: str) -> None:
        """Remove an operation from sight; a running one goes on, and leaves when it is done."""
        columns = self._table.c
        mine = and_(columns.id == operation_id, self._owned(owner))
        gone = delete(self._table).where(mine, columns.state.in_(_DONE))
        if await self._execute(gone) == 0:
            await self._execute(update(self._table).where(mine).values(is_deleted=True))

    async def unfinished(self, ids: Collection[str]) -> set[str]:
        """Return those of these operations that are not done."""
        columns = self._table.c
        found: set[str] = set()
        waiting = list(ids)
        for start in range(0, len(waiting), _CHUNK):
            chosen = columns.id.in_(waiting[start : start + _CHUNK])
            rows = await self._rows(select(columns.id).where(chosen, columns.state.not_in(_DONE)))
            found.update(row.id for row in rows)
        return found

    # -- for workers ---------------------------------------------------------------------------

    async def claim(
        self, worker: str, actions: Iterable[str], *, limit: int, lease_seconds: float
    ) -> list[Claim]:
        """Take operations that nobody performs, the oldest first.

        No other worker gets them while the lease holds. Where the database can, rows that another
        is just taking are passed over without waiting.
        """
        columns = self._table.c
        is_lost = and_(columns.state == _RUNNING, columns.lease_until < epoch_seconds())
        statement = (
            select(self._table)
            .where(
                columns.service == self._service,
                columns.action.in_(list(actions)),
                or_(columns.state == _PENDING, is_lost),
            )
            .order_by(columns.number)
            .limit(limit)
        )
        if self.database.backend != "sqlite":
            statement = statement.with_for_update(skip_locked=True)

        async def work(session: AsyncSession) -> list[Claim]:
            claims = []
            for row in (await session.execute(statement)).all():
                claim = _claim(row)
                taken = self._taking(row, claim, worker, lease_seconds)
                if _count(await session.execute(taken)):
                    claims.append(claim)
            return claims

        return await self.database.run(work)

    async def renew(
        self, worker: str, ids: Collection[str], lease_seconds: float
    ) -> Mapping[str, bool]:
        """Prolong the leases of a worker's operations; return those that it still has.

        The value tells whether the operation is to end.
        """
        columns = self._table.c
        mine = and_(columns.id.in_(list(ids)), columns.worker == worker, columns.state == _RUNNING)
        longer = update(self._table).where(mine)
        await self._execute(longer.values(lease_until=epoch_seconds() + lease_seconds))
        rows = await self._rows(select(columns.id, columns.is_cancelled).where(mine))
        return {row.id: bool(row.is_cancelled) for row in rows}

    async def report(self, worker: str, claim: Claim, percent: int, text: str) -> None:
        """Store the progress of an operation."""
        values = {"progress_percent": percent, "progress_text": text[:_MAX_TEXT_LENGTH]}
        await self._execute(self._held(worker, claim).values(**values))

    async def finish(
        self, worker: str, claim: Claim, outcome: Outcome, retention_seconds: float
    ) -> bool:
        """Store how an operation ended; False when the worker does not have it any more."""
        ended = self._ended(outcome, retention_seconds)
        return await self._execute(self._held(worker, claim).values(**ended)) > 0

    async def release(self, worker: str, claim: Claim) -> None:
        """Give an operation back, for another worker to begin anew."""
        await self._execute(self._held(worker, claim).values(state=_PENDING, worker=""))

    async def release_all(self, worker: str, *, but: Collection[str]) -> None:
        """Give back whatever a worker has, except for some."""
        columns = self._table.c
        held = and_(columns.worker == worker, columns.state == _RUNNING)
        others = update(self._table).where(held, columns.id.not_in(list(but)))
        await self._execute(others.values(state=_PENDING, worker=""))

    async def purge(self) -> int:
        """Remove the results that have expired, and what was deleted; return how many."""
        columns = self._table.c
        expired = columns.expires_at < epoch_seconds()
        deleted = and_(columns.is_deleted.is_(True), columns.state.in_(_DONE))
        gone = delete(self._table).where(columns.service == self._service, or_(expired, deleted))
        return await self._execute(gone)

    # -- statements ----------------------------------------------------------------------------

    def _owned(self, owner: str) -> ColumnElement[bool]:
        columns = self._table.c
        return and_(
            columns.service == self._service,
            columns.owner == owner,
            columns.is_deleted.is_(False),
        )

    def _visible(self, owner: str, *conditions: ColumnElement[bool]) -> Any:
        return select(self._table).where(self._owned(owner), *conditions)

    def _held(self, worker: str, claim: Claim) -> Any:
        columns = self._table.c
        return update(self._table).where(
            columns.id == claim.id,
            columns.worker == worker,
            columns.attempt == claim.attempt,
            columns.state == _RUNNING,
        )

    def _taking(self, row: Row[Any], claim: Claim, worker: str, lease_seconds: float) -> Any:
        """Return the statement that takes what is still as it was seen."""
        columns = self._table.c
        return (
            update(self._table)
            .where(
                columns.number == row.number,
                columns.state == row.state,
                columns.attempt == row.attempt,
                columns.worker == row.worker,
                or_(columns.state == _PENDING, columns.lease_until < epoch_seconds()),
            )
            .values(
                state=_RUNNING,
                worker=worker,
                attempt=claim.attempt,
                losses=claim.losses,
                lease_until=epoch_seconds() + lease_seconds,
            )
        )

    def _ended(self, outcome: Outcome, retention_seconds: float) -> dict[str, Any]:
        values: dict[str, Any] = {
            "state": outcome.state.value,
            "result": outcome.result,
            "wire_type": outcome.wire_type,
            "wire": outcome.wire,
            "request": b"",  # nobody needs it any more, and it may hold secrets
            "end_time": datetime.datetime.now(datetime.UTC),
            "expires_at": epoch_seconds() + retention_seconds,
        }
        if outcome.state is OperationState.SUCCEEDED:
            values["progress_percent"] = 100
        return values

    async def _execute(self, statement: Any) -> int:
        async def work(session: AsyncSession) -> int:
            return _count(await session.execute(statement))

        return await self.database.run(work, writes=True)

    async def _rows(self, statement: Any) -> list[Row[Any]]:
        async def work(session: AsyncSession) -> list[Row[Any]]:
            return list((await session.execute(statement)).all())

        return await self.database.run(work)


def _count(result: Any) -> int:
    return int(result.rowcount)


def _claim(row: Row[Any]) -> Claim:
    return Claim(
        id=row.id,
        action=row.action,
        attempt=row.attempt + 1,
        losses=row.losses + (row.state == _RUNNING),
        is_cancelled=bool(row.is_cancelled),
        request=row.request,
    )


def _stored(row: Row[Any]) -> StoredOperation:
    state = OperationState(row.state)
    outcome = None
    if state in DONE:
        outcome = Outcome(
            state=state, result=row.result, wire_type=row.wire_type, wire=row.wire or b""
        )
    return StoredOperation(
        number=row.number,
        id=row.id,
        action=row.action,
        state=state,
        progress_percent=row.progress_percent,
        progress_text=row.progress_text,
        attempt=row.attempt,
        create_time=row.create_time,
        end_time=row.end_time,
        outcome=outcome,
    )
