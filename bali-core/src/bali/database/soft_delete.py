"""Soft deletion (AIP-164): deleted rows are kept for a while, hidden, and can be taken back."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

if TYPE_CHECKING:
    from bali.database.database import Database

__all__ = ["SoftDelete", "is_alive", "mark_deleted", "purge", "take_back"]

_PURGED_AT_ONCE = 500


class SoftDelete:
    """Put it before the base of a model, and deleting one of its items hides it.

    Adds `deleted_time`, None while an item is there, and `purge_time`, from when on the row may be
    removed for good: `purge_after` after the deletion, None for never.
    """

    #: How long a deleted item can be taken back; None for ever.
    purge_after: ClassVar[datetime.timedelta | None] = datetime.timedelta(days=30)

    deleted_time: Mapped[datetime.datetime | None] = mapped_column(
        default=None, index=True, sort_order=-6, info={"read_only": True}
    )
    purge_time: Mapped[datetime.datetime | None] = mapped_column(
        default=None, index=True, sort_order=-5, info={"read_only": True}
    )


def is_alive(model: type[Any]) -> Any:
    """Return the condition of what is not deleted."""
    return model.deleted_time.is_(None)


def mark_deleted(item: Any) -> None:
    """Make an item a deleted one."""
    item.deleted_time = now = datetime.datetime.now(datetime.UTC)
    after = type(item).purge_after
    item.purge_time = None if after is None else now + after


def take_back(item: Any) -> None:
    """Make an item one that is not deleted."""
    item.deleted_time = item.purge_time = None


async def purge(database: Database, model: type[Any]) -> int:
    """Remove the rows of a model that are past their time to be taken back; return how many."""
    now = datetime.datetime.now(datetime.UTC)
    due = select(model).where(model.purge_time < now).limit(_PURGED_AT_ONCE)
    due = due.order_by(model.purge_time).with_for_update(skip_locked=True)

    async def work(session: AsyncSession) -> int:
        items = (await session.scalars(due)).unique().all()
        for item in items:
            await session.delete(item)
        await session.flush()
        return len(items)

    count = 0
    while True:
        async with database.unit(joins=False):
            purged: int = await database.run(work, writes=True)
        count += purged
        if purged < _PURGED_AT_ONCE:
            return count
