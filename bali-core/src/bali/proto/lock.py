"""Numbers that a committed .proto has given, kept for ever.

What had a number keeps it, in whatever order things are declared: fields, members of a oneof, enum
values. What is new takes the next number that was never used. What is gone leaves its number and
its name reserved, so a message that an old program wrote is never read as something else.

A message or enum that nothing uses any more stays in the file: it could come back, and its numbers
would be given anew. A field whose name was reserved and comes back gets a new number, and its old
one stays reserved: nobody can tell whether it means what it once did.

The order of the committed file stays too, with what is new behind it, so a difference between the
two is a difference in meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf import descriptor_pb2

from bali.errors import ConfigurationError
from bali.proto.presence import add_presence, remove_presence
from bali.proto.spelling import map_entry, package_prefix, plain_name

__all__ = ["lock_numbers"]

_F = descriptor_pb2.FieldDescriptorProto
_File = descriptor_pb2.FileDescriptorProto
#: Numbers that protobuf keeps for itself, and the highest that a field or an enum value may have.
_OWN_FIRST, _OWN_LAST = 19_000, 19_999
_HIGHEST = 2**29 - 1
_HIGHEST_VALUE = 2**31 - 1


def lock_numbers(built: _File, committed: _File) -> _File:
    """Return `built` with the numbers of `committed`, an earlier state of the same file.

    `committed.name` is what messages call that file. The imports are those of `built`. Raises
    `ConfigurationError` for a field whose type is another one under the same name, with the file,
    the message, the field and both types.
    """
    locked = _File()
    locked.CopyFrom(built)
    messages = {message.name: message for message in committed.message_type}
    enums = {enum.name: enum for enum in committed.enum_type}
    _refuse_other_kinds(locked, committed)
    for message in locked.message_type:
        if message.name in messages:
            _lock_message(locked, message, messages.pop(message.name), committed)
    for enum in locked.enum_type:
        if enum.name in enums:
            _lock_enum(enum, enums.pop(enum.name), committed)
    for message in messages.values():
        locked.message_type.add().CopyFrom(message)
        _move_types(locked.message_type[-1], committed, locked.package)
    locked.enum_type.extend(enums.values())
    _order(locked.message_type, committed.message_type)
    _order(locked.enum_type, committed.enum_type)
    for service in locked.service:
        _order(service.method, [item for other in committed.service for item in other.method])
    return locked


def _refuse_other_kinds(locked: _File, committed: _File) -> None:
    kinds = {item.name: "a message" for item in committed.message_type}
    kinds |= {item.name: "an enum" for item in committed.enum_type}
    for kind, items in (("a message", locked.message_type), ("an enum", locked.enum_type)):
        for item in items:
            former = kinds.get(item.name, kind)
            if former != kind:
                raise ConfigurationError(
                    f"{committed.name}: {item.name} is {former} there and {kind} now; give the new "
                    "one another name, or set its `title` in model_config"
                )


def _lock_message(locked: _File, message: Any, former: Any, committed: _File) -> None:
    known = {field.name: field for field in former.field}
    free = _free_numbers(former, committed)
    for field in message.field:
        old = known.get(field.name)
        if old is None:
            field.number = next(free)
            continue
        was, now = _type(committed, former, old), _type(locked, message, field)
        if was != now:
            raise ConfigurationError(
                f"{committed.name}: field {message.name}.{field.name} is {was} there and {now} "
                f"now, and programs that have the former cannot read that; keep the type, or give "
                f"the new field another name: the old one's number {old.number} stays reserved"
            )
        field.number = old.number
    names = {field.name for field in message.field}
    gone = [(field.number, field.number) for field in former.field if field.name not in names]
    gone += [(item.start, item.end - 1) for item in former.reserved_range]
    for first, last in _joined(gone):
        message.reserved_range.add(start=first, end=last + 1)
    message.reserved_name.extend(_reserved_names(former.reserved_name, known, names))
    _order_fields(locked, message)


def _lock_enum(enum: Any, former: Any, committed: _File) -> None:
    known = {value.name: value.number for value in former.value}
    reserved = [(item.start, item.end) for item in former.reserved_range]
    highest = max([*known.values(), *(last for _, last in reserved)], default=-1)
    for value in enum.value:
        if value.name not in known:
            highest += 1
            if highest > _HIGHEST_VALUE:
                raise ConfigurationError(
                    f"{committed.name}: enum {enum.name} has no number left for {value.name}; give "
                    "it another name"
                )
        value.number = known.get(value.name, highest)
    names = {value.name for value in enum.value}
    gone = [(number, number) for name, number in known.items() if name not in names]
    for first, last in _joined(gone + reserved):
        enum.reserved_range.add(start=first, end=last)
    enum.reserved_name.extend(_reserved_names(former.reserved_name, known, names))
    _replace(enum.value, sorted(enum.value, key=lambda value: int(value.number)))


def _reserved_names(former: Iterable[str], known: Iterable[str], names: set[str]) -> list[str]:
    """Return the names that are gone; one that is back in use may not be reserved."""
    return sorted({*former, *known} - names)


def _free_numbers(former: Any, committed: _File) -> Iterator[int]:
    """Give the numbers that no field of a message has had, above all that one has had."""
    used = [field.number for field in former.field]
    used += [item.end - 1 for item in former.reserved_range]
    number = max(used, default=0)
    while True:
        number += 1
        if _OWN_FIRST <= number <= _OWN_LAST:
            number = _OWN_LAST + 1
        if number > _HIGHEST:
            raise ConfigurationError(
                f"{committed.name}: message {former.name} has no field number left, as one up to "
                f"{_HIGHEST} is in use or reserved; give the message another name"
            )
        yield number


def _type(file: _File, message: Any, field: Any) -> str:
    """Return a field's type as it is written in a .proto, without `optional`."""
    if field.type_name:
        prefix = package_prefix(file.package)
        entry = map_entry(message, field, prefix)
        if entry is not None:
            key, value = (_type(file, entry, part) for part in entry.field)
            return f"map<{key}, {value}>"
        name = field.type_name.removeprefix(prefix).removeprefix(".")
    else:
        name = plain_name(field)
    return f"repeated {name}" if field.label == _F.LABEL_REPEATED else name


def _move_types(message: Any, committed: _File, package: str) -> None:
    """Let a message name the types of its own file as those of a package, if that is new."""
    former = package_prefix(committed.package)
    own = {item.name for item in committed.message_type}
    own |= {item.name for item in committed.enum_type}
    for owner in (message, *message.nested_type):
        for field in owner.field:
            name = field.type_name.removeprefix(former)
            if field.type_name.startswith(former) and name.split(".")[0] in own:
                field.type_name = f"{package_prefix(package)}{name}"


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return ranges (first and last of each) in order, neighbours as one."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


# -- order -----------------------------------------------------------------------------------------


def _order(items: Any, committed: Iterable[Any]) -> None:
    """Put what the committed file has first, in its order."""
    places = {item.name: place for place, item in enumerate(committed)}
    _replace(items, sorted(items, key=lambda item: places.get(item.name, len(places))))


def _order_fields(file: _File, message: Any) -> None:
    """Put fields in the order of their numbers, and what protoc makes of each with them."""
    remove_presence(message)
    fields = sorted(message.field, key=lambda field: int(field.number))
    prefix = f"{package_prefix(file.package)}{message.name}."
    places = {field.type_name.removeprefix(prefix): place for place, field in enumerate(fields)}
    nested: list[Any] = sorted(message.nested_type, key=lambda item: places[item.name])
    _replace(message.nested_type, nested)
    _replace(message.field, fields)
    add_presence(message)


def _replace(items: Any, ordered: Iterable[Any]) -> None:
    """Give a repeated field other content, which may be of its own."""
    copies = [type(item).FromString(item.SerializeToString()) for item in ordered]
    del items[:]
    items.extend(copies)
