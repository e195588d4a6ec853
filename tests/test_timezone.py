"""Aware moments by the names of the first bali."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from bali import timezone

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def jakarta(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Jakarta")


def test_the_current_zone_is_that_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert timezone.get_current_timezone_name() == "Asia/Jakarta"
    assert timezone.localtime(NOON).isoformat() == "2024-02-29T19:00:00+07:00"
    monkeypatch.delenv("TZ")
    assert timezone.get_current_timezone() is UTC
    assert timezone.get_current_timezone_name() == "UTC"


def test_now_is_aware() -> None:
    assert timezone.is_aware(timezone.now())
    assert abs(timezone.localtime() - timezone.now()) < timedelta(minutes=1)


def test_naive_and_aware_moments_become_each_other() -> None:
    naive = timezone.make_naive(NOON)
    assert (naive, timezone.is_naive(naive)) == (datetime(2024, 2, 29, 19), True)  # noqa: DTZ001 - naive on purpose
    assert timezone.make_aware(naive) == NOON
    assert timezone.make_aware(naive, timezone="UTC") == NOON + timedelta(hours=7)
    assert timezone.make_naive(NOON, timezone=ZoneInfo("Asia/Tokyo")).hour == 21


def test_is_dst_chooses_among_the_two_moments_of_one_clock() -> None:
    twice = datetime(2024, 10, 27, 2, 30)  # noqa: DTZ001 - naive on purpose
    offsets = [
        timezone.make_aware(twice, timezone="Europe/Berlin", is_dst=is_dst).isoformat()[-6:]
        for is_dst in (True, False)
    ]
    assert offsets == ["+02:00", "+01:00"]


def test_the_day_is_that_of_the_zone() -> None:
    late = datetime(2024, 2, 29, 23, tzinfo=UTC)
    assert timezone.localdate(late) == date(2024, 3, 1)
    assert timezone.localdate(late, "UTC") == date(2024, 2, 29)


@pytest.mark.parametrize(
    ("granularity", "first", "last"),
    [
        ("day", "2024-12-31", "2024-12-31"),
        ("week", "2024-12-30", "2025-01-05"),
        ("month", "2024-12-01", "2024-12-31"),
        ("year", "2024-01-01", "2024-12-31"),
    ],
)
def test_spans_begin_and_end_in_the_zone(granularity: str, first: str, last: str) -> None:
    moment = datetime(2024, 12, 30, 18, tzinfo=UTC)  # the next day in Jakarta
    start = timezone.start_of(granularity, moment)  # type: ignore[arg-type]  # one of the four
    end = timezone.end_of(granularity, moment)  # type: ignore[arg-type]  # the same
    assert start.isoformat() == f"{first}T00:00:00+07:00"
    assert end.isoformat() == f"{last}T23:59:59.999999+07:00"


def test_a_month_of_29_days_ends() -> None:
    assert timezone.end_of("month", NOON, timezone="UTC").day == 29


def test_what_cannot_be_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="expects a naive datetime"):
        timezone.make_aware(NOON)
    with pytest.raises(ValueError, match="expects an aware datetime"):
        timezone.make_naive(datetime(2024, 1, 1))  # noqa: DTZ001 - naive on purpose
    with pytest.raises(ValueError, match="'hour'; it must be year, month, week or day"):
        timezone.start_of("hour", NOON)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(ValueError, match=r"no time zone '\.\./etc/passwd'; write"):
        timezone.localtime(NOON, "../etc/passwd")
    monkeypatch.setenv("TZ", "Moon/Sea")
    with pytest.raises(ValueError, match=r"'Moon/Sea' \(of the environment variable TZ\)"):
        timezone.localtime(NOON)
