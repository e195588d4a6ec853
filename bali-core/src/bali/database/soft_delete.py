"""Soft deletion (AIP-164): deleted rows are kept for a while, hidden, and can be taken back."""

from __future__ import annotations

import datetime
from typing import Any, ClassVar

from sqlalchemy.orm import Mapped, mapped_column

__all__ = ["SoftDelete", "is_alive", "mark_deleted", "take_back"]


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
