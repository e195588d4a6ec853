"""JSON documents of callers, read strictly: what one parser takes and another refuses is refused.

RFC 8259 leaves duplicate keys, non-finite numbers, byte order marks and lone surrogates to the
parser; RFC 7493 (I-JSON) forbids them, and so does this module. Depth is bounded before anything
is built, so that no request costs a deep recursion.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from bali.errors import InvalidArgument

__all__ = ["DEFAULT_MAX_DEPTH", "decode_json"]

#: How deep objects and arrays of a request may be nested.
DEFAULT_MAX_DEPTH = 64

_BOM = b"\xef\xbb\xbf"
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
#: A whole string, so that the brackets in it do not count, or one bracket.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)


def decode_json(body: bytes, *, max_depth: int = DEFAULT_MAX_DEPTH) -> Any:
    """Return the value of a JSON document.

    Raises `InvalidArgument` with reason `MALFORMED_JSON` and the place, `DUPLICATE_KEY` with the
    key, or `TOO_DEEP`.
    """
    if body.startswith(_BOM):
        raise _malformed("it starts with a byte order mark", 1, 1)
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        line, column = _place(body, error.start)
        raise _malformed("it is not UTF-8", line, column) from error
    if body.count(b"[") + body.count(b"{") > max_depth:
        _check_depth(body, max_depth)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise _malformed(error.msg, error.lineno, error.colno) from error
    except RecursionError as error:
        raise _too_deep(max_depth) from error
    except ValueError as error:
        digits = sys.get_int_max_str_digits()
        raise InvalidArgument(
            f"The body has a number of more than {digits} digits", reason="MALFORMED_JSON"
        ) from error
    if _SURROGATE_ESCAPE.search(body):
        _check_surrogates(value)
    return value


def _check_depth(body: bytes, max_depth: int) -> None:
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        first = match.group()
        if first in (b"[", b"{"):
            depth += 1
            if depth > max_depth:
                raise _too_deep(max_depth)
        elif first in (b"]", b"}"):
            depth -= 1


def _check_surrogates(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            "The body is not valid JSON: a string has half of a surrogate pair",
            reason="MALFORMED_JSON",
        ) from error


def _refuse_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                shown = key.encode("utf-8", "replace").decode()[:100]
                raise InvalidArgument(
                    f"The body has the key {shown!r} twice in one object", reason="DUPLICATE_KEY"
                )
            seen.add(key)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidArgument(
        f"The body is not valid JSON: {name} is not a JSON number", reason="MALFORMED_JSON"
    )


_DECODER = json.JSONDecoder(object_pairs_hook=_refuse_duplicates, parse_constant=_refuse_constant)


def _place(body: bytes, offset: int) -> tuple[int, int]:
    before = body[:offset]
    start = before.rfind(b"\n") + 1
    return before.count(b"\n") + 1, len(before[start:].decode("utf-8", "replace")) + 1


def _malformed(what: str, line: int, column: int) -> InvalidArgument:
    return InvalidArgument(
        f"The body is not valid JSON: {what}, line {line} column {column}",
        reason="MALFORMED_JSON",
        metadata={"line": str(line), "column": str(column)},
    )


def _too_deep(max_depth: int) -> InvalidArgument:
    return InvalidArgument(
        f"The body is nested deeper than the {max_depth} levels allowed", reason="TOO_DEEP"
    )
