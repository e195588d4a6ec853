"""The typed tree that every schema becomes, and the only thing that its spokes share.

pydantic models, protobuf messages and SQLAlchemy models are each translated to and from these
nodes; none of the three knows another. A tree is built once, at start, and is never changed
afterwards (a `Record` alone is filled in after it is made, so that it can contain itself).
"""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = [
    "SCALAR_TYPES",
    "EnumNode",
    "Field",
    "ListNode",
    "MapNode",
    "Node",
    "Record",
    "Scalar",
    "ScalarKind",
    "UnionNode",
    "Variant",
    "records_of",
]


class ScalarKind(enum.Enum):
    """The kinds of single values, named after their Python type.

    `ANY` is any JSON value. `FIELD_MASK` is a list of field paths (AIP-161).
    """

    BOOL = "bool"
    INT = "int"
    FLOAT = "float"
    STRING = "str"
    BYTES = "bytes"
    DECIMAL = "decimal"
    DATETIME = "datetime"
    DATE = "date"
    TIME = "time"
    TIMEDELTA = "timedelta"
    UUID = "uuid"
    ANY = "any"
    FIELD_MASK = "field_mask"


#: The Python type whose values a scalar has. `bool` is before `int`, `datetime` before `date`.
SCALAR_TYPES: Mapping[type, ScalarKind] = {
    bool: ScalarKind.BOOL,
    int: ScalarKind.INT,
    float: ScalarKind.FLOAT,
    str: ScalarKind.STRING,
    bytes: ScalarKind.BYTES,
    decimal.Decimal: ScalarKind.DECIMAL,
    datetime.datetime: ScalarKind.DATETIME,
    datetime.date: ScalarKind.DATE,
    datetime.time: ScalarKind.TIME,
    datetime.timedelta: ScalarKind.TIMEDELTA,
    uuid.UUID: ScalarKind.UUID,
}


@dataclass(frozen=True, slots=True)
class Scalar:
    """A single value."""

    kind: ScalarKind


@dataclass(frozen=True, slots=True, kw_only=True)
class EnumNode:
    """One of a closed set of values; `members` are (name, value) pairs in order of declaration.

    `type` is the Python enum, or None for a `Literal`, whose members are named after their values.
    """

    name: str
    members: tuple[tuple[str, Any], ...]
    type: type[enum.Enum] | None = None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListNode:
    """Any number of items, in order; `is_item_nullable` when an item may be None.

    `container` is the Python type that a value has (list, tuple, set or frozenset).
    """

    item: Node
    is_item_nullable: bool = False
    container: type = list


@dataclass(frozen=True, slots=True, kw_only=True)
class MapNode:
    """Any number of values under distinct string keys."""

    value: Node
    is_value_nullable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One alternative of a union: the value of the discriminator, and the record it announces."""

    tag: str
    record: Record


@dataclass(frozen=True, slots=True, kw_only=True)
class UnionNode:
    """One of several records, told apart by the field `discriminator` that each has."""

    discriminator: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A named part of a record.

    `is_required`: a request without it is wrong. `is_nullable`: its value may be None.
    `is_output_only`: set by the service alone, ignored in requests. `is_input_only`: in requests
    alone. `is_immutable`: never changed once the item is made (AIP-203).
    `is_expanded`: only in answers that it was asked for.
    `default` is what an absent field has, None when there is none or it is made by a function.
    `alias` is the name on the wire when it differs from the attribute name.
    """

    name: str
    node: Node
    is_required: bool = True
    is_nullable: bool = False
    is_output_only: bool = False
    is_input_only: bool = False
    is_immutable: bool = False
    is_expanded: bool = False
    default: Any = None
    description: str = ""
    alias: str | None = None

    @property
    def wire_name(self) -> str:
        """The name that callers see, on every protocol."""
        return self.alias or self.name


@dataclass(slots=True, kw_only=True, eq=False)
class Record:
    """Named fields; `type` is the pydantic model it describes, where there is one."""

    name: str
    fields: tuple[Field, ...] = ()
    description: str = ""
    type: type[Any] | None = None
    _by_name: dict[str, Field] = field(default_factory=dict, repr=False)

    def fill(self, fields: tuple[Field, ...]) -> Record:
        """Set the fields of a record that was made empty, and return it."""
        self.fields = fields
        self._by_name = {}
        return self

    def field(self, name: str) -> Field | None:
        """Return the field of this attribute name, None when there is none."""
        if not self._by_name:
            self._by_name = {item.name: item for item in self.fields}
        return self._by_name.get(name)


Node: TypeAlias = Scalar | EnumNode | ListNode | MapNode | UnionNode | Record


def records_of(node: Node) -> Iterator[Record]:
    """Yield each record that a node contains, itself first, once each, in order of mention."""
    seen: set[int] = set()
    pending: list[Node] = [node]
    while pending:
        current = pending.pop(0)
        if isinstance(current, ListNode):
            pending.append(current.item)
        elif isinstance(current, MapNode):
            pending.append(current.value)
        elif isinstance(current, UnionNode):
            pending.extend(variant.record for variant in current.variants)
        elif isinstance(current, Record) and id(current) not in seen:
            seen.add(id(current))
            yield current
            pending.extend(item.node for item in current.fields)
