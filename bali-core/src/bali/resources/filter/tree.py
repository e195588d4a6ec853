"""The two trees of a filter: what was written, and what it means for the fields of a resource.

Both share the logic (`AllOf`, `AnyOf`, `Negation`). The leaves of the first are restrictions, with
the places where they stand; those of the second are conditions on values of the right type.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = [
    "AllOf",
    "AnyOf",
    "Call",
    "Comparison",
    "Condition",
    "FilterError",
    "Invocation",
    "Literal",
    "Member",
    "Negation",
    "Operator",
    "Presence",
    "Restriction",
    "Syntax",
    "TextMatch",
]


class FilterError(ValueError):
    """A filter that is wrong, and the column where; columns are counted from 1."""

    def __init__(self, column: int, text: str) -> None:
        super().__init__(f"column {column}: {text}")
        self.column = column


class Operator(enum.Enum):
    """How a value is compared."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="


@dataclass(frozen=True, slots=True)
class AllOf:
    """True when every item is."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """True when an item is."""

    items: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Negation:
    """True when its item is not."""

    item: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Literal:
    """A word or a quoted text; `pieces` are what stands between its `*`, one when it has none."""

    pieces: tuple[str, ...]
    is_quoted: bool
    column: int

    @property
    def text(self) -> str:
        """The text as written, without quotes and escapes."""
        return "*".join(self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Words joined by dots: the name of a field, or a value such as `2.5`."""

    parts: tuple[Literal, ...]

    @property
    def column(self) -> int:
        """Where it begins."""
        return self.parts[0].column

    @property
    def literal(self) -> Literal:
        """The whole as one value."""
        if len(self.parts) == 1:
            return self.parts[0]
        pieces: list[str] = [""]
        for index, part in enumerate(self.parts):
            first, *rest = part.pieces
            pieces[-1] += f".{first}" if index else first
            pieces += rest
        return Literal(pieces=tuple(pieces), is_quoted=False, column=self.column)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A function with its arguments."""

    name: str
    arguments: tuple[Any, ...]
    column: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Restriction:
    """A field and what is said of it; without `comparator` a value or a call by itself."""

    subject: Member | Call
    comparator: str = ""
    argument: Any = None
    column: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A call of a declared function with values of the right types.

    As a condition the function returns one; as a value, `make` returns its result as a value of the
    field. Each use calls it anew.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    make: Callable[[Any], Any] | None = None

    def result(self) -> Any:
        """Call the function, and its arguments that are calls themselves."""
        values = [
            value.result() if isinstance(value, Invocation) else value for value in self.arguments
        ]
        found = self.function(*values)
        return found if self.make is None else self.make(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An attribute compared with a value; false when the attribute has none."""

    attribute: str
    operator: Operator
    value: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class TextMatch:
    """A text that begins with the first piece, ends with the last, and has the others between.

    `is_folded` compares without regard to case. False when the attribute has no value.
    """

    attribute: str
    pieces: tuple[str, ...]
    is_folded: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """An attribute that has a value, or has none."""

    attribute: str
    is_present: bool = True


#: What was written.
Syntax: TypeAlias = AllOf | AnyOf | Negation | Restriction
#: What it means: true or false for each item, never unknown.
Condition: TypeAlias = AllOf | AnyOf | Negation | Comparison | TextMatch | Presence | Invocation
