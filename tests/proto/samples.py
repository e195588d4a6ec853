"""One schema with every type, strategies for its values, and services made from schemas."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal

from hypothesis import strategies as st
from pydantic import BaseModel, Field

from bali.proto import BoundMethod, BoundService, Method, ServiceShape, build_service
from bali.schemas import Describer, Record, Scalar, ScalarKind
from bali.schemas import Field as TreeField


class Size(enum.Enum):
    """How large it is."""

    SMALL = "small"
    VERY_LARGE = "very large"


class Level(enum.IntEnum):
    LOW = 10
    HIGH = -1


class Circle(BaseModel):
    """A round shape."""

    kind: Literal["circle"] = "circle"
    radius: float


class Square(BaseModel):
    kind: Literal["square"] = "square"
    side: float


Shape = Annotated[Circle | Square, Field(discriminator="kind")]


class Line(BaseModel):
    sku: str
    amount: int = 1


class Everything(BaseModel):
    """Every type that a schema may have.

    In one message, to be sent both ways.
    """

    truth: bool
    whole: int
    real: float
    text: str = Field(description="Any text.")
    raw: bytes
    money: decimal.Decimal
    moment: datetime.datetime
    day: datetime.date
    clock: datetime.time
    span: datetime.timedelta
    key: uuid.UUID
    size: Size
    level: Level
    order: Literal["asc", "ASC", "by-name"]
    shape: Shape
    anything: Any
    maybe_truth: bool | None = None
    maybe_whole: int | None = None
    maybe_money: decimal.Decimal | None = None
    maybe_moment: datetime.datetime | None = None
    maybe_size: Size | None = None
    maybe_shape: Shape | None = None
    maybe_line: Line | None = None
    numbers: list[int] = []
    moments: tuple[datetime.datetime, ...] = ()
    sizes: list[Size] = []
    lines: list[Line] = []
    shapes: list[Shape] = []
    unique: set[str] = set()
    things: list[Any] = []
    prices: dict[str, decimal.Decimal] = {}
    counts: dict[str, int] = {}
    by_name: dict[str, Line] = {}
    document: dict[str, Any] = {}
    maybe_document: dict[str, Any] | None = None
    maybe_numbers: list[int] | None = None
    maybe_things: list[Any] | None = None
    maybe_counts: dict[str, int] | None = None
    maybe_lines: list[Line] | None = None
    gaps: list[int | None] = []
    line_gaps: list[Line | None] = []
    count_gaps: dict[str, int | None] = {}
    matrix: list[list[int]] = []
    groups: dict[str, list[Size]] = {}
    nested_groups: list[dict[str, list[int | None]]] = []
    documents: list[dict[str, Any] | None] = []
    children: list[Everything] = []
    parent: Everything | None = None


_text = st.text(max_size=8)
_int = st.integers(-(2**63), 2**63 - 1)
_decimal = st.decimals(allow_nan=False, allow_infinity=False)
#: Zones with a fixed offset: times that a zone has twice never equal those of another zone.
_zones = st.integers(-14 * 60, 14 * 60).map(
    lambda minutes: datetime.timezone(datetime.timedelta(minutes=minutes))
)
_moment = st.datetimes(
    datetime.datetime(1, 1, 2),  # noqa: DTZ001 - the strategy adds the zone
    datetime.datetime(9999, 12, 30),  # noqa: DTZ001 - the same
    timezones=_zones,
) | st.datetimes(timezones=st.just(datetime.UTC))
_span = st.timedeltas(
    datetime.timedelta(seconds=-315_576_000_000), datetime.timedelta(seconds=315_576_000_000)
)
_line = st.builds(Line, sku=_text, amount=_int)
_float = st.floats(allow_nan=False)
_shape = st.builds(Circle, radius=_float) | st.builds(Square, side=_float)
_size = st.sampled_from(Size)
#: JSON values that a `google.protobuf.Value` gives back as they are.
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: number % 1 != 0)
    | _text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_text, inner, max_size=3),
    max_leaves=5,
)
_document = st.dictionaries(_text, json_values, max_size=3)


def _many(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, max_size=3)


def _named(items: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(_text, items, max_size=3)


_required: dict[str, st.SearchStrategy[Any]] = {
    "truth": st.booleans(),
    "whole": _int,
    "real": _float,
    "text": _text,
    "raw": st.binary(max_size=8),
    "money": _decimal,
    "moment": _moment,
    "day": st.dates(),
    "clock": st.times(),
    "span": _span,
    "key": st.uuids(),
    "size": _size,
    "level": st.sampled_from(Level),
    "order": st.sampled_from(["asc", "ASC", "by-name"]),
    "shape": _shape,
    "anything": json_values,
}
_optional: dict[str, st.SearchStrategy[Any]] = {
    "maybe_truth": st.none() | st.booleans(),
    "maybe_whole": st.none() | _int,
    "maybe_money": st.none() | _decimal,
    "maybe_moment": st.none() | _moment,
    "maybe_size": st.none() | _size,
    "maybe_shape": st.none() | _shape,
    "maybe_line": st.none() | _line,
    "numbers": _many(_int),
    "moments": _many(_moment).map(tuple),
    "sizes": _many(_size),
    "lines": _many(_line),
    "shapes": _many(_shape),
    "unique": st.sets(_text, max_size=3),
    "things": _many(json_values),
    "prices": _named(_decimal),
    "counts": _named(_int),
    "by_name": _named(_line),
    "document": _document,
    "maybe_document": st.none() | _document,
    "maybe_numbers": st.none() | _many(_int),
    "maybe_things": st.none() | _many(json_values),
    "maybe_counts": st.none() | _named(_int),
    "maybe_lines": st.none() | _many(_line),
    "gaps": _many(st.none() | _int),
    "line_gaps": _many(st.none() | _line),
    "count_gaps": _named(st.none() | _int),
    "matrix": _many(_many(_int)),
    "groups": _named(_many(_size)),
    "nested_groups": _many(_named(_many(st.none() | _int))),
    "documents": _many(st.none() | _document),
}


def _model(**inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Everything]:
    return st.fixed_dictionaries(_required, optional={**_optional, **inner}).map(
        lambda values: Everything(**values)
    )


#: Objects of the schema with every type.
everything = st.recursive(
    _model(),
    lambda inner: _model(children=st.lists(inner, max_size=2), parent=st.none() | inner),
    max_leaves=2,
)


def record_of(name: str, /, **annotations: Any) -> Record:
    """Return a record with required fields of these types."""
    describer = Describer()
    fields = []
    for field_name, annotation in annotations.items():
        described = describer.annotation(annotation, where=f"{name}.{field_name}")
        fields.append(
            TreeField(name=field_name, node=described.node, is_nullable=described.is_nullable)
        )
    return Record(name=name).fill(tuple(fields))


def mask_field() -> TreeField:
    """Return the field `update_mask` as an update has it."""
    return TreeField(
        name="update_mask",
        node=Scalar(ScalarKind.FIELD_MASK),
        is_required=False,
        is_nullable=True,
    )


def service(*methods: Method, package: str = "sample", name: str = "SampleService") -> BoundService:
    """Return a code-first service with these methods."""
    return build_service(shape_of(*methods, package=package, name=name))


def shape_of(
    *methods: Method, package: str = "sample", name: str = "SampleService"
) -> ServiceShape:
    """Return the shape of a service with these methods."""
    return ServiceShape(package=package, name=name, file_name="sample.proto", methods=methods)


def echo(model: type[BaseModel]) -> BoundMethod:
    """Return a method whose request and response are both this model."""
    record = Describer().model(model)
    return service(Method(name="Echo", request=record, response=record)).methods[0]


def reply(model: type[BaseModel]) -> BoundMethod:
    """Return a method with this model as response only, where fields need no presence."""
    response = Describer().model(model)
    method = Method(name="Reply", request=Record(name="ReplyRequest"), response=response)
    return service(method).methods[0]
