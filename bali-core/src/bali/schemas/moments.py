"""Moments packed as PostgreSQL sends them, which encoders of messages take as they are.

A moment on its way into a message is a number of seconds, and so it comes from the database. To
make a `datetime` of it in between takes longer than all that is done with it besides.
"""

from __future__ import annotations

import datetime

__all__ = ["PACKED_EPOCH_SECONDS", "moment_of"]

_EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
#: The beginning of 2000, from where packed moments count, in seconds since that of 1970.
PACKED_EPOCH_SECONDS = 946_684_800
#: How the moments before and after all others are packed; what the driver makes of them.
_ENDLESS = {
    -(2**63): datetime.datetime.min.replace(tzinfo=datetime.UTC),
    2**63 - 1: datetime.datetime.max.replace(tzinfo=datetime.UTC),
}


def moment_of(packed: bytes) -> datetime.datetime:
    """Return the moment that is packed: microseconds since 2000 in UTC, 8 bytes, big-endian.

    `-infinity` and `infinity` are the first and the last moment of all. Raises `OverflowError` for
    one beyond the years 1 to 9999.
    """
    micros = int.from_bytes(packed, "big", signed=True)
    endless = _ENDLESS.get(micros)
    return endless or _EPOCH + datetime.timedelta(microseconds=micros)
