"""From the words of a filter to values of the type that a field has.

Numbers, `true` and `false` are written without quotes, everything else with or without. A moment is
one of RFC 3339 (one without a zone is in UTC, as everywhere), a duration is `20s` or `1.5s` as in
protobuf's JSON, or one of ISO 8601 (`P1DT2H`); an enum is its value, or its name.
"""

from __future__ import annotations

import datetime
import decimal
import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bali.resources.filter.tree import FilterError, Literal
from bali.schemas import EnumNode, Node, Scalar, ScalarKind

__all__ = ["ValueType", "near", "shown"]

_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d{1,4})?", re.ASCII)
_SECONDS = re.compile(r"-?\d{1,12}(\.\d{1,6})?s", re.ASCII)
_DATE = r"\d{4}-\d\d-\d\d"
_TIME = r"\d\d:\d\d(:\d\d(\.\d{1,6})?)?"
_FORMS: Mapping[ScalarKind, tuple[re.Pattern[str], str]] = {
    ScalarKind.DATETIME: (
        re.compile(rf"{_DATE}([Tt ]{_TIME}([Zz]|[+-]\d\d:\d\d)?)?", re.ASCII),
        "a moment such as 2026-01-31T08:00:00Z",
    ),
    ScalarKind.DATE: (re.compile(_DATE, re.ASCII), "a date such as 2026-01-31"),
    ScalarKind.TIME: (re.compile(_TIME, re.ASCII), 'a time of day such as "08:00:00"'),
    ScalarKind.TIMEDELTA: (
        re.compile(r"-?P[0-9DTHMSW.]{1,40}", re.ASCII),
        "a duration such as 20s or P1DT2H",
    ),
    ScalarKind.UUID: (re.compile(r"[0-9A-Fa-f-]{32,36}", re.ASCII), "a UUID"),
}
_NUMBERS = (ScalarKind.INT, ScalarKind.FLOAT, ScalarKind.DECIMAL)
_ORDERED = {
    *_NUMBERS,
    ScalarKind.STRING,
    ScalarKind.DATETIME,
    ScalarKind.DATE,
    ScalarKind.TIME,
    ScalarKind.TIMEDELTA,
}
#: The range of google.protobuf.Duration.
_MAX_SECONDS = 315_576_000_000
#: A number that is further from 1 than this by powers of ten is no value of any column.
_MAX_MAGNITUDE = 400
_MAX_INTEGER = 2**63
_MAX_SHOWN = 40
_MAX_NAMES = 5


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of the values that a field is compared with, or a function takes."""

    node: Node
    adapter: TypeAdapter[Any]

    @property
    def kind(self) -> ScalarKind | None:
        """The kind of a single value, None for enums and for what is none."""
        return self.node.kind if isinstance(self.node, Scalar) else None

    @property
    def is_text(self) -> bool:
        """Whether values are text, which `*` and `:` look into."""
        return self.kind is ScalarKind.STRING

    @property
    def is_ordered(self) -> bool:
        """Whether values can be less or greater than others."""
        return self.kind in _ORDERED

    @property
    def is_comparable(self) -> bool:
        """Whether values can be written in a filter at all."""
        return isinstance(self.node, EnumNode) or self.kind in _READERS

    def value(self, literal: Literal) -> Any:
        """Return the value that a word stands for. Raises `FilterError`."""
        if len(literal.pieces) > 1 and not self.is_text:
            raise FilterError(literal.column, "`*` stands for any characters in text only")
        if isinstance(self.node, EnumNode):
            return self._member(self.node, literal)
        kind = self.kind
        reader = _READERS.get(kind) if kind is not None else None
        if reader is None:
            raise FilterError(literal.column, "values of this type cannot be written in a filter")
        return self.checked(reader(self, literal), literal.column)

    def checked(self, value: Any, column: int) -> Any:
        """Return a value within the limits of the type. Raises `FilterError`."""
        try:
            found = self.adapter.validate_python(value)
            return _in_utc(found) if self.kind is ScalarKind.DATETIME else found
        except ValidationError as error:
            raise FilterError(column, error.errors(include_url=False)[0]["msg"]) from None
        except OverflowError:
            raise FilterError(column, "the value is out of range") from None

    def _member(self, node: EnumNode, literal: Literal) -> Any:
        by_value = {str(value): value for _, value in node.members}
        by_name = dict(node.members)
        for known in (by_value, by_name):
            if literal.text in known:
                value = known[literal.text]
                return value if node.type is None else node.type(value)
        raise FilterError(
            literal.column,
            f"{shown(literal.text)} is none of its values; {near(literal.text, by_value)}",
        )

    # -- one reader for each kind; what they return is checked by the adapter -------------------

    def _text(self, literal: Literal) -> Any:
        return literal.text

    def _bool(self, literal: Literal) -> Any:
        if literal.is_quoted or literal.text not in ("true", "false"):
            raise _misfit(literal, "true or false, which are written without quotes")
        return literal.text == "true"

    def _number(self, literal: Literal) -> Any:
        if literal.is_quoted or not _NUMBER.fullmatch(literal.text):
            raise _misfit(literal, "a number, which is written without quotes")
        number = decimal.Decimal(literal.text)
        if abs(number.adjusted()) > _MAX_MAGNITUDE:
            raise FilterError(literal.column, "the number is out of range")
        if self.kind is ScalarKind.INT:
            if number != number.to_integral_value():
                raise _misfit(literal, "a whole number")
            if abs(number) > _MAX_INTEGER:
                raise FilterError(literal.column, "the number is out of range")
            return int(number)
        if self.kind is ScalarKind.FLOAT:
            found = float(number)
            if math.isinf(found):
                raise FilterError(literal.column, "the number is out of range")
            return found
        return number

    def _formed(self, literal: Literal) -> Any:
        assert self.kind is not None  # noqa: S101 - `_READERS` has it
        form, words = _FORMS[self.kind]
        if not form.fullmatch(literal.text):
            raise _misfit(literal, words)
        return literal.text

    def _duration(self, literal: Literal) -> Any:
        if not _SECONDS.fullmatch(literal.text):
            found = self.checked(self._formed(literal), literal.column)
        else:
            seconds = decimal.Decimal(literal.text[:-1])
            if abs(seconds) > _MAX_SECONDS:
                raise FilterError(literal.column, "the duration is out of range")
            found = datetime.timedelta(microseconds=int(seconds * 1_000_000))
        if abs(found) > datetime.timedelta(seconds=_MAX_SECONDS):
            raise FilterError(literal.column, "the duration is out of range")
        return found


_READERS: Mapping[ScalarKind, Callable[[ValueType, Literal], Any]] = {
    ScalarKind.STRING: ValueType._text,  # noqa: SLF001 - a table of methods
    ScalarKind.BOOL: ValueType._bool,  # noqa: SLF001 - same
    **dict.fromkeys(_NUMBERS, ValueType._number),  # noqa: SLF001 - same
    **dict.fromkeys(_FORMS, ValueType._formed),  # noqa: SLF001 - same
    ScalarKind.TIMEDELTA: ValueType._duration,  # noqa: SLF001 - same
}


def _in_utc(moment: datetime.datetime) -> datetime.datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=datetime.UTC)
    return moment.astimezone(datetime.UTC)


def near(word: str, known: Iterable[str], *, none: str = "there are none") -> str:
    """Return a hint at names that are like a word, or at those there are."""
    names = list(known)
    if not names:
        return none
    close = difflib.get_close_matches(word[:_MAX_SHOWN], names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(map(repr, close))}?"
    more = ", ..." if len(names) > _MAX_NAMES else ""
    return f"there are {', '.join(names[:_MAX_NAMES])}{more}"


def shown(text: str) -> str:
    """Return what was written, quoted and not too long, for a message."""
    return repr(text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}...")


def _misfit(literal: Literal, wanted: str) -> FilterError:
    text = shown(literal.text) if literal.is_quoted else literal.text[:_MAX_SHOWN]
    return FilterError(literal.column, f"{text} is not {wanted}")
