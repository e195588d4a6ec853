"""Any value of a call as JSON of our own, and back, without loss.

What JSON has no form for is an object with one key that begins with "$" and names the type. A
mapping with such a key of its own is written as its items.
"""

from __future__ import annotations

import base64
import datetime
import decimal
import enum
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from pydantic import BaseModel

__all__ = ["dumps", "loads"]

_MICROSECOND = datetime.timedelta(microseconds=1)

_WRITE: Mapping[type[Any], tuple[str, Callable[[Any], Any]]] = {
    bytes: ("$bytes", lambda value: base64.b64encode(value).decode("ascii")),
    datetime.datetime: ("$datetime", datetime.datetime.isoformat),
    datetime.date: ("$date", datetime.date.isoformat),
    datetime.time: ("$time", datetime.time.isoformat),
    datetime.timedelta: ("$timedelta", lambda value: value // _MICROSECOND),
    decimal.Decimal: ("$decimal", str),
    uuid.UUID: ("$uuid", str),
}
_READ: Mapping[str, Callable[[Any], Any]] = {
    "$bytes": base64.b64decode,
    "$datetime": datetime.datetime.fromisoformat,
    "$date": datetime.date.fromisoformat,
    "$time": datetime.time.fromisoformat,
    "$timedelta": lambda value: value * _MICROSECOND,
    "$decimal": decimal.Decimal,
    "$uuid": uuid.UUID,
    "$items": lambda value: {key: _read(item) for key, item in value},
}


def dumps(value: Any) -> bytes:
    """Return a value of a call as JSON. Raises `TypeError` for one that no call can have."""
    return json.dumps(_written(value), separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )


def loads(data: bytes) -> Any:
    """Return the value that `dumps` has written."""
    return _read(json.loads(data.decode("utf-8", "surrogatepass")))


def _written(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return _written(value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, BaseModel):
        return _written(value.model_dump(exclude_unset=True, by_alias=True))
    if isinstance(value, Mapping):
        if any(not isinstance(key, str) or key.startswith("$") for key in value):
            return {"$items": [[_written(key), _written(item)] for key, item in value.items()]}
        return {key: _written(item) for key, item in value.items()}
    for kind, (name, write) in _WRITE.items():
        if isinstance(value, kind):
            return {name: write(value)}
    if isinstance(value, Sequence | AbstractSet):
        return [_written(item) for item in value]
    raise TypeError(f"an argument of a call cannot be a {type(value).__name__}")


def _read(value: Any) -> Any:
    if isinstance(value, list):
        return [_read(item) for item in value]
    if isinstance(value, dict):
        name = next(iter(value)) if len(value) == 1 else ""
        if name.startswith("$") and name in _READ:
            return _READ[name](value[name])
        return {key: _read(item) for key, item in value.items()}
    return value
