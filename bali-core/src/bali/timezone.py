"""Aware moments: the functions that users of the first bali know as `bali.utils.timezone`.

A `timezone` argument is a name of the IANA database or a `tzinfo`; without one it is that of the
environment variable `TZ`, else UTC. A name that does not exist is a `ValueError`.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

__all__ = [
    "end_of",
    "get_current_timezone",
    "get_current_timezone_name",
    "is_aware",
    "is_naive",
    "localdate",
    "localtime",
    "make_aware",
    "make_naive",
    "now",
    "start_of",
]

Granularity = Literal["year", "month", "week", "day"]
_DECEMBER = 12


def get_current_timezone() -> tzinfo:
    """Return the time zone of the environment variable `TZ`, UTC when it is not set."""
    return _zone(None)


def get_current_timezone_name() -> str:
    """Return the name of the current time zone, "Asia/Jakarta"."""
    zone = get_current_timezone()
    return zone.key if isinstance(zone, ZoneInfo) else str(zone)


def now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


def is_aware(value: datetime) -> bool:
    """Tell whether a moment knows its time zone."""
    return value.utcoffset() is not None


def is_naive(value: datetime) -> bool:
    """Tell whether a moment does not know its time zone."""
    return value.utcoffset() is None


def make_aware(
    value: datetime, *, timezone: tzinfo | str | None = None, is_dst: bool = False
) -> datetime:
    """Return a naive moment as one of a time zone. Raises `ValueError` for an aware one.

    `is_dst` chooses among the two moments that a clock shows twice when summer time ends.
    """
    if is_aware(value):
        raise ValueError("expects a naive datetime")
    placed = value.replace(tzinfo=_zone(timezone), fold=0)
    choices = (placed, placed.replace(fold=1))
    return next((choice for choice in choices if bool(choice.dst()) == is_dst), placed)


def make_naive(value: datetime, *, timezone: tzinfo | str | None = None) -> datetime:
    """Return what a clock in a time zone shows. Raises `ValueError` for a naive moment."""
    return localtime(value, timezone).replace(tzinfo=None)


def localtime(value: datetime | None = None, timezone: tzinfo | str | None = None) -> datetime:
    """Return a moment, the present one by default, in a time zone.

    Raises `ValueError` for a naive moment.
    """
    moment = now() if value is None else value
    if is_naive(moment):
        raise ValueError("expects an aware datetime")
    return moment.astimezone(_zone(timezone))


def localdate(value: datetime | None = None, timezone: tzinfo | str | None = None) -> date:
    """Return the day of a moment, the present one by default, in a time zone."""
    return localtime(value, timezone).date()


def start_of(
    granularity: Granularity,
    value: datetime | None = None,
    *,
    timezone: tzinfo | str | None = None,
) -> datetime:
    """Return the first moment of the year, month, week (Monday) or day of a moment."""
    return _midnight(_first_day(granularity, localdate(value, timezone)), timezone)


def end_of(
    granularity: Granularity,
    value: datetime | None = None,
    *,
    timezone: tzinfo | str | None = None,
) -> datetime:
    """Return the last microsecond of the year, month, week (Sunday) or day of a moment."""
    first = _first_day(granularity, localdate(value, timezone))
    if granularity == "year":
        following = first.replace(year=first.year + 1)
    elif granularity == "month":
        is_last = first.month == _DECEMBER
        following = first.replace(
            year=first.year + is_last, month=1 if is_last else first.month + 1
        )
    else:
        following = first + timedelta(days=7 if granularity == "week" else 1)
    last = datetime.combine(following - timedelta(days=1), time.max)
    return make_aware(last, timezone=timezone)


def _first_day(granularity: Granularity, day: date) -> date:
    if granularity == "year":
        return day.replace(month=1, day=1)
    if granularity == "month":
        return day.replace(day=1)
    if granularity == "week":
        return day - timedelta(days=day.weekday())
    if granularity == "day":
        return day
    raise ValueError(f"granularity is {granularity!r}; it must be year, month, week or day")


def _midnight(day: date, timezone: tzinfo | str | None) -> datetime:
    return datetime.combine(day, time.min, _zone(timezone))


def _zone(timezone: tzinfo | str | None) -> tzinfo:
    if isinstance(timezone, tzinfo):
        return timezone
    name = timezone or os.environ.get("TZ") or "UTC"
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        where = "" if timezone else " (of the environment variable TZ)"
        raise ValueError(
            f"there is no time zone {name!r}{where}; write it like 'Asia/Jakarta', and install "
            "tzdata if the system has no time zones"
        ) from error
