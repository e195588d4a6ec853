"""Rows on their way out: what a store has read, which becomes objects for those alone who look.

A page of a hundred items is read as rows and sent as bytes. Encoders that know `Rows` write them
as they are; to everybody else they are a sequence of objects, made when they are asked for.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import starmap
from typing import Any, TypeAlias, get_args, overload

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import SchemaSerializer, core_schema, to_json

from bali.schemas.computed import with_base64
from bali.schemas.moments import moment_of
from bali.schemas.payload import Encoder, encoder_for, has_bytes
from bali.schemas.tree import Record

__all__ = ["Row", "Rows", "page_encoder"]

Row: TypeAlias = Sequence[Any]
_RowsEncoder: TypeAlias = "Callable[[Rows], bytes]"

#: Types of pydantic's schemas: of plain values, and of what a value only passes through. Not of
#: floats, which have other digits there (1e+16), nor of times, whose zones may have seconds.
_PLAIN = frozenset({"bool", "date", "datetime", "decimal", "int", "str", "uuid"})
_AROUND_OTHERS = frozenset(
    {"default", "function-after", "function-before", "function-wrap", "nullable"}
)


class Rows(Sequence[BaseModel]):
    """Items as rows of values, which are in the order of `names`, their attributes.

    `are_exact` promises that each value is of the very type of its field, not of a subclass of it.
    `packed` are the places of the moments that are bytes in `rows` (see `moments`), which objects
    never have.
    """

    __slots__ = ("_make", "are_exact", "names", "packed", "rows")

    def __init__(
        self,
        rows: Sequence[Row],
        names: tuple[str, ...],
        make: Callable[[Row], BaseModel],
        *,
        are_exact: bool = False,
        packed: tuple[int, ...] = (),
    ) -> None:
        self.rows = rows
        self.names = names
        self.are_exact = are_exact
        self.packed = packed
        self._make = make

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, place: int) -> BaseModel: ...

    @overload
    def __getitem__(self, place: slice) -> list[BaseModel]: ...

    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self._make(row) for row in self._unpacked(self.rows[place])]
        [row] = self._unpacked((self.rows[place],))
        return self._make(row)

    def __iter__(self) -> Iterator[BaseModel]:
        return map(self._make, self._unpacked(self.rows))

    def dicts(self) -> list[dict[str, Any]]:
        """Return the items as dicts by attribute."""
        names = self.names
        return [dict(zip(names, row, strict=True)) for row in self._unpacked(self.rows)]

    def _unpacked(self, rows: Iterable[Row]) -> Iterable[Row]:
        return map(self._unpacked_row, rows) if self.packed else rows

    def _unpacked_row(self, row: Row) -> Row:
        values = list(row)
        for place in self.packed:
            if values[place] is not None:
                values[place] = moment_of(values[place])
        return values


def page_encoder(record: Record | None, model: type[BaseModel] | None) -> Encoder | None:
    """Return how pages, whose `items` may be `Rows`, become JSON; None for an empty response.

    The JSON of rows is that of the objects they stand for.
    """
    encode = encoder_for(record, model)
    if encode is None or model is None or record is None:
        return encode
    encode_rows = _rows_encoder(model.model_fields["items"], has_base64=has_bytes(record))
    if encode_rows is None:
        return _of_objects(encode)

    def encode_page(page: BaseModel) -> bytes:
        values = page.__dict__
        items = values["items"]
        if type(items) is not Rows:
            return encode(page)
        parts = [
            b'"%b":%b'
            % (
                name.encode(),
                encode_rows(items) if value is items else to_json(value),
            )
            for name, value in values.items()
        ]
        return b"{%b}" % b",".join(parts)

    return encode_page


def _of_objects(encode: Encoder) -> Encoder:
    def encode_page(page: BaseModel) -> bytes:
        if type(page.__dict__["items"]) is Rows:
            page = page.model_copy(update={"items": list(page.__dict__["items"])})
        return encode(page)

    return encode_page


def _rows_encoder(items: FieldInfo, *, has_base64: bool) -> _RowsEncoder | None:
    """Return what writes rows as objects of a model are written; None for an unusual model."""
    [item] = get_args(items.annotation) or (None,)
    schema: Any = getattr(item, "__pydantic_core_schema__", {})
    if has_base64:
        schema = with_base64(schema)
    fields = schema.get("schema", {})
    if schema.get("type") != "model" or fields.get("type") != "model-fields":
        return None
    if "serialization" in schema or fields.get("computed_fields"):
        return None
    config = schema.get("config", {})
    found: Mapping[str, Any] = fields["fields"]
    in_general = _general_encoder(found, config)
    if any(name.startswith("ser_json_") for name in config):
        return in_general
    if not all(_is_plain(field["schema"]) for field in found.values()):
        return in_general
    wire_names = {name: field.get("serialization_alias", name) for name, field in found.items()}
    return _plain_encoder(wire_names, in_general)


def _general_encoder(fields: Mapping[str, Any], config: Any) -> _RowsEncoder:
    """Return an encoder of values of any kind, which pydantic writes."""
    typed = core_schema.typed_dict_schema(
        {
            name: core_schema.typed_dict_field(
                field["schema"], serialization_alias=field.get("serialization_alias")
            )
            for name, field in fields.items()
        },
        total=False,
    )
    serializer = SchemaSerializer(core_schema.list_schema(typed), config)
    return lambda rows: serializer.to_json(rows.dicts(), by_alias=True)


def _plain_encoder(wire_names: Mapping[str, str], otherwise: _RowsEncoder) -> _RowsEncoder:
    """Return an encoder of plain values, which msgspec writes alike and many times faster.

    `otherwise` writes rows that are not exact, and those with values that have no name on the wire.
    """
    import msgspec  # noqa: PLC0415 - a service that lists nothing needs none of it

    encode = msgspec.json.Encoder().encode
    makers: dict[tuple[str, ...], Any] = {}

    def maker(names: tuple[str, ...]) -> Any:
        places = {f"v{place}": wire_names[name] for place, name in enumerate(names)}
        return msgspec.defstruct("Item", list(places), rename=places, gc=False)

    def encode_rows(rows: Rows) -> bytes:
        if not rows.are_exact:
            return otherwise(rows)
        names = rows.names
        make = makers.get(names)
        if make is None:
            if not wire_names.keys() >= set(names):
                return otherwise(rows)
            make = makers[names] = maker(names)
        return encode(list(starmap(make, rows.rows)))

    return encode_rows


def _is_plain(schema: Any) -> bool:
    """Tell whether msgspec writes the values of a field as pydantic does."""
    kind = schema["type"]
    if "serialization" in schema:
        return False
    if kind == "enum":
        return all(map(_is_plain_member, schema["members"]))
    return kind in _PLAIN or (kind in _AROUND_OTHERS and _is_plain(schema["schema"]))


def _is_plain_member(member: enum.Enum) -> bool:
    stored = member._value_  # what msgspec writes; pydantic asks the member, which may say another
    return type(stored) in (str, int) and member.value is stored
