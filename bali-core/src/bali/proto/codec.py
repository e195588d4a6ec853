"""The conversion between values of one record and messages of one type, compiled at start.

A codec is a table of fields, each with a function that puts a value into a message and one that
takes it out. No descriptor is looked at during a call.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from bali.proto.compiled import FillObject, FillRow, compile_objects, compile_rows
from bali.schemas.computed import lacks
from bali.schemas.rows import Rows

__all__ = ["Codec", "EncodeError", "Put", "Slot", "Take"]

#: Puts a value, which is not None unless the slot `takes_none`, into a message.
Put = Callable[[Any, Any], None]
#: Adds what a field of a message holds to the values; nothing when the field is absent.
Take = Callable[[Any, dict[str, Any]], None]

#: How many classes of objects a codec knows by heart.
_MAX_CLASSES = 64


class EncodeError(ValueError):
    """A value that its message cannot hold: a mistake of the code that made the value.

    `field` is the path of the field (`"items[3].age"`). The text quotes the value: it is for the
    log of the service that made it, never for a peer.
    """

    def __init__(self, field: str, problem: str) -> None:
        self.field = field
        self.problem = problem
        super().__init__(f"{field}: {problem}" if field else problem)

    def under(self, parent: str) -> EncodeError:
        """Return the same error, seen from the record that contains the field `parent`."""
        if not self.field or self.field.startswith("["):
            return EncodeError(f"{parent}{self.field}", self.problem)
        return EncodeError(f"{parent}.{self.field}", self.problem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One field of a record, and how it gets in and out of a message.

    `attribute` and `wire_name` are its names in an object and in a mapping; `takes_none` when None
    is a value of its own, which is sent. `default` is what an absent field has.

    `plain_name` names a message field that takes and gives the Python value as it is: then `put`
    is not needed, nor `take` when the field `has_presence`. `take_always` also adds a field that
    looks absent: with its zero, or empty. `part_name` names a message field that `fill_part` fills,
    and makes present in doing so: then `put` is not needed either; `part_lines` do the same as
    code that names `{part}`, `{value}` and `{fill}`, `packed_lines` for a packed moment. `record`
    is the message field that holds a record, and its codec.
    """

    attribute: str
    wire_name: str
    put: Put
    take: Take
    take_always: Take
    takes_none: bool = False
    default: Any = None
    plain_name: str | None = None
    has_presence: bool = False
    part_name: str | None = None
    fill_part: Put | None = None
    part_lines: tuple[str, ...] = ()
    packed_lines: tuple[str, ...] = ()
    record: tuple[str, Codec] | None = None


class Codec:
    """Converts between Python values of one record and messages of one type.

    It is made empty and completed later, so that a record can contain itself. Safe for any number
    of calls at once.
    """

    __slots__ = (
        "_by_name",
        "_expanded",
        "_fill_object",
        "_make",
        "_objects",
        "_present",
        "_puts",
        "_row_fillers",
        "_skips_unset",
        "_slots",
        "_takes",
        "descriptor",
        "name",
    )

    def __init__(self, name: str, descriptor: Descriptor, *, skips_unset: bool = False) -> None:
        self.name = name
        self.descriptor = descriptor
        self._make: type[Message] | None = None
        self._skips_unset = skips_unset
        self.complete(())

    @property
    def message_type(self) -> type[Message]:
        """The class of the messages."""
        if self._make is None:
            self._make = message_factory.GetMessageClass(self.descriptor)
        return self._make

    @property
    def slots(self) -> tuple[Slot, ...]:
        """The fields that the record and the message have in common."""
        return self._slots

    def complete(
        self,
        slots: Iterable[Slot],
        former_names: Mapping[str, str] | None = None,
        *,
        expanded: frozenset[str] = frozenset(),
    ) -> None:
        """Set the fields; `former_names` are other names by which a mapping may give them.

        `expanded` are attributes that an object may lack.
        """
        self._expanded = expanded
        self._slots = tuple(slots)
        self._row_fillers: dict[tuple[Any, ...], FillRow] = {}
        self._objects: set[type] = set()
        self._fill_object: FillObject = self._fill_from_object
        self._puts = tuple(
            (slot.attribute, slot.plain_name, slot.put, slot.takes_none, slot.default)
            for slot in self._slots
        )
        self._present = tuple(
            (slot.plain_name, slot.wire_name)
            for slot in self._slots
            if slot.plain_name is not None and slot.has_presence
        )
        self._takes = tuple(
            slot.take for slot in self._slots if slot.plain_name is None or not slot.has_presence
        )
        self._by_name = {slot.wire_name: slot for slot in self._slots}
        for former, name in (former_names or {}).items():
            if name in self._by_name:
                self._by_name.setdefault(former, self._by_name[name])

    # -- from Python ---------------------------------------------------------------------------

    def to_message(self, value: Any) -> Message:
        """Return a new message that holds an object, a mapping by wire name, or nothing (None).

        None stands for an absent value. Raises `EncodeError` for a value that its field cannot
        hold, and for a name in a mapping that the message does not know.
        """
        message = (self._make or self.message_type)()
        if value is not None:
            self.fill(message, value)
        return message

    def fill(self, message: Any, value: Any) -> None:
        """Put an object or a mapping into a message; see `to_message`."""
        if type(value) in self._objects:
            try:
                self._fill_object(message, value)
            except Exception:  # noqa: BLE001 - the way below tells which value it was
                message.Clear()
            else:
                return
        if isinstance(value, Mapping):
            self._fill_from_mapping(message, value)
        elif self._skips_unset:
            self._fill_from_set(message, value)
        else:
            self._fill_from_object(message, value)
            self._learn(type(value))

    def _learn(self, kind: type) -> None:
        """Have objects of a class filled in by code from now on, where they lack nothing."""
        if self._expanded or len(self._objects) >= _MAX_CLASSES:
            return
        if not self._objects:
            self._fill_object = compile_objects(self._slots)
        self._objects.add(kind)

    def row_filler(self, rows: Rows) -> FillRow:
        """Return what puts rows with these names and these packed moments into messages."""
        kind = (rows.names, rows.packed)
        known = self._row_fillers.get(kind)
        if known is None:
            known = self._row_fillers[kind] = compile_rows(self._slots, *kind)
        return known

    def _fill_from_object(self, message: Any, value: Any) -> None:
        attribute = ""
        try:
            for attribute, plain_name, put, takes_none, _ in self._puts_for(value):
                item = getattr(value, attribute)
                if item is not None or takes_none:
                    if plain_name is not None:
                        setattr(message, plain_name, item)
                    else:
                        put(message, item)
        except Exception as error:
            if isinstance(error, AttributeError) and lacks(value, attribute):
                message.Clear()
                self._fill_from_part(message, value)
                return
            raise self._located(error, attribute) from error

    def _puts_for(self, value: Any) -> Iterable[Any]:
        """Return how to put what an object has."""
        if not self._expanded:
            return self._puts
        absent = self._expanded - value.__dict__.keys()
        return [put for put in self._puts if put[0] not in absent]

    def _fill_from_part(self, message: Any, value: Any) -> None:
        """Leave unset what an object lacks."""
        values = value.__dict__
        attribute = ""
        try:
            for attribute, _, put, takes_none, _ in self._puts:
                item = values.get(attribute)
                if item is not None or (takes_none and attribute in values):
                    put(message, item)
        except Exception as error:
            raise self._located(error, attribute) from error

    def _fill_from_set(self, message: Any, value: Any) -> None:
        """Leave out what nobody set, so that the service that is called uses its own default."""
        names = getattr(value, "model_fields_set", None)
        attribute = ""
        try:
            for attribute, _, put, takes_none, default in self._puts:
                item = getattr(value, attribute)
                is_unset = names is not None and attribute not in names
                if is_unset and (item is None or item == default):
                    continue
                if item is not None or takes_none:
                    put(message, item)
        except Exception as error:
            raise self._located(error, attribute) from error

    def _fill_from_mapping(self, message: Any, values: Mapping[str, Any]) -> None:
        name = ""
        try:
            for name, item in values.items():
                slot = self._by_name.get(name)
                if slot is None:
                    known = ", ".join(self._by_name) or "no fields"
                    raise ValueError(f"{self.name} has no such field; it has {known}")  # noqa: TRY301 - located below like any other
                if item is not None or slot.takes_none:
                    slot.put(message, item)
        except Exception as error:
            raise self._located(error, name) from error

    def _located(self, error: Exception, attribute: str) -> EncodeError:
        name = next(
            (slot.wire_name for slot in self._slots if slot.attribute == attribute), attribute
        )
        if isinstance(error, EncodeError):
            return error.under(name)
        if isinstance(error, ValueError):
            return EncodeError(name, str(error))
        return EncodeError(name, f"{error} ({type(error).__name__} in {self.name})")

    # -- to Python -----------------------------------------------------------------------------

    def to_values(self, message: Any) -> dict[str, Any]:
        """Return the fields that are present, by wire name. Never raises."""
        values: dict[str, Any] = {}
        has = message.HasField
        for name, wire_name in self._present:
            if has(name):
                values[wire_name] = getattr(message, name)
        for take in self._takes:
            take(message, values)
        return values

    def take_at(self, path: str, message: Any, values: dict[str, Any]) -> None:
        """Add what a message holds at a path ("address.city"), even when it looks absent.

        `values` are those of the message; what is within an absent record is not added.
        """
        name, _, rest = path.partition(".")
        slot = self._by_name.get(name)
        if slot is None:
            return
        if not rest:
            if name not in values:
                slot.take_always(message, values)
        elif slot.record is not None and name in values:
            held, codec = slot.record
            codec.take_at(rest, getattr(message, held), values[name])
