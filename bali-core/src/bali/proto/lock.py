"""Numbers that a committed .proto has given, kept for ever.

A field, an enum value: what had a number keeps it, whatever is declared in which order; what is new
takes the next that was never used; what is gone leaves its number and its name reserved. So a
message that an old program wrote is never read as something else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf import descriptor_pb2

from bali.errors import ConfigurationError

__all__ = ["lock_numbers"]

_F = descriptor_pb2.FieldDescriptorProto
_File = descriptor_pb2.FileDescriptorProto
#: Numbers that protobuf keeps for itself, and the highest that a field may have.
_OWN_FIRST, _OWN_LAST = 19_000, 19_999
_HIGHEST = 2**29 - 1
_HIGHEST_VALUE = 2**31 - 1


def lock_numbers(built: _File, committed: _File) -> _File:
    """Return `built` with the numbers of `committed`, an earlier state of the same file.

    A message or enum that is in `committed` alone stays as it is: were it to come back later, its
    numbers would be given anew. Raises `ConfigurationError` for a field whose type is another one
    under the same name, with the message, the field and both types.
    """
    locked = _File()
    locked.CopyFrom(built)
    messages = {message.name: message for message in committed.message_type}
    enums = {enum.name: enum for enum in committed.enum_type}
    _refuse_other_kinds(locked, messages, enums)
    for message in locked.message_type:
        if message.name in messages:
            _lock_message(locked, message, messages.pop(message.name), committed)
    for enum in locked.enum_type:
        if enum.name in enums:
            _lock_enum(enum, enums.pop(enum.name))
    for message in messages.values():
        locked.message_type.add().CopyFrom(message)
    for enum in enums.values():
        locked.enum_type.add().CopyFrom(enum)
    imports = {*locked.dependency, *_imports_of(messages.values(), committed)}
    locked.ClearField("dependency")
    locked.dependency.extend(sorted(imports))
    return locked


def _refuse_other_kinds(locked: _File, messages: Any, enums: Any) -> None:
    for kind, names, former in (
        ("a message", [item.name for item in locked.message_type], enums),
        ("an enum", [item.name for item in locked.enum_type], messages),
    ):
        for name in names:
            if name in former:
                other = "an enum" if kind == "a message" else "a message"
                raise ConfigurationError(
                    f"{locked.name}: {name} is {other} in the committed .proto and {kind} now; "
                    "give the new one another name"
                )


def _lock_message(locked: _File, message: Any, former: Any, committed: _File) -> None:
    known = {field.name: field for field in former.field}
    reserved = list(former.reserved_range)
    names = {field.name for field in message.field}
    free = _free_field_numbers(former)
    for field in message.field:
        old = known.get(field.name)
        if old is None:
            field.number = next(free)
            continue
        was = _type(committed, former, old)
        now = _type(locked, message, field)
        if was != now:
            raise ConfigurationError(
                f"{locked.name}: field {message.name}.{field.name} is {was} in the committed "
                f".proto and {now} now, which programs that know the former cannot read; give the "
                "new field another name, and the old one's number stays reserved"
            )
        field.number = old.number
    numbers = {field.number for field in former.field if field.name not in names}
    numbers.update(n for item in reserved for n in range(item.start, item.end))
    for start, end in _ranges(numbers):
        message.reserved_range.add(start=start, end=end + 1)
    # A name that is back in use may not be reserved; its former number stays so.
    kept = {*former.reserved_name, *known} - names
    message.reserved_name.extend(sorted(kept))


def _lock_enum(enum: Any, former: Any) -> None:
    known = {value.name: value.number for value in former.value}
    names = {value.name for value in enum.value}
    used = {*known.values(), *(n for r in former.reserved_range for n in range(r.start, r.end + 1))}
    following = max(used, default=-1)
    for value in enum.value:
        if value.name in known:
            value.number = known[value.name]
        else:
            following += 1
            if following > _HIGHEST_VALUE:
                raise ConfigurationError(f"enum {enum.name} has no number left")
            value.number = following
    gone = used - {value.number for value in enum.value}
    for start, end in _ranges(gone):
        enum.reserved_range.add(start=start, end=end)
    enum.reserved_name.extend(sorted({*former.reserved_name, *known} - names))
    # protobuf wants the zero first; the rest stands in the order of its numbers.
    ordered = sorted(enum.value, key=lambda value: int(value.number))
    values = [type(value).FromString(value.SerializeToString()) for value in ordered]
    enum.ClearField("value")
    enum.value.extend(values)


def _free_field_numbers(former: Any) -> Iterator[int]:
    """Give the numbers that no field of a message has had, the lowest above all of them first."""
    used = [field.number for field in former.field]
    used += [item.end - 1 for item in former.reserved_range]
    number = max(used, default=0)
    while True:
        number += 1
        if _OWN_FIRST <= number <= _OWN_LAST:
            number = _OWN_LAST + 1
        if number > _HIGHEST:
            raise ConfigurationError(f"message {former.name} has no field number left")
        yield number


def _type(file: _File, message: Any, field: Any) -> str:
    """Return a field's type as it is written in a .proto, without `optional`."""
    if field.type_name:
        prefix = f".{file.package}." if file.package else "."
        for entry in message.nested_type:
            is_entry = field.type_name == f"{prefix}{message.name}.{entry.name}"
            if is_entry and entry.options.map_entry:
                key, value = (_type(file, entry, part) for part in entry.field)
                return f"map<{key}, {value}>"
        name = field.type_name.removeprefix(prefix).removeprefix(".")
    else:
        name = str(_F.Type.Name(field.type)).removeprefix("TYPE_").lower()
    return f"repeated {name}" if field.label == _F.LABEL_REPEATED else name


def _ranges(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Give numbers as ranges, first and last of each."""
    first = last = None
    for number in sorted(numbers):
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last


def _imports_of(messages: Iterable[Any], committed: _File) -> set[str]:
    """Return the files of google's packages that messages use, among those of a file."""
    used = {
        field.type_name.lstrip(".")
        for message in messages
        for owner in (message, *message.nested_type)
        for field in owner.field
    }
    # `google.protobuf.Timestamp` is in google/protobuf/timestamp.proto: the package tells.
    packages = {name.rpartition(".")[0].replace(".", "/") for name in used}
    return {name for name in committed.dependency if name.rpartition("/")[0] in packages}
