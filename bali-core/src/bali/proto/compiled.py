"""Codecs as code: what puts a row or an object into a message, written when it is first needed.

A table of fields is walked anew for each message. For the rows of a list that is most of the work,
so it is written down as the assignments that somebody would write by hand, and compiled, as
`dataclasses` does it. The names in it are those of message fields, which protobuf has checked.
"""

from __future__ import annotations

import datetime
import keyword
from collections.abc import Callable, Container, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from bali.schemas.moments import moment_of

if TYPE_CHECKING:
    from bali.proto.codec import Slot

__all__ = ["EPOCH", "FillObject", "FillRow", "compile_objects", "compile_rows"]

#: Puts a row of values into an empty message.
FillRow: TypeAlias = Callable[[Any, Sequence[Any]], None]
#: Puts the attributes of an object into an empty message.
FillObject: TypeAlias = Callable[[Any, Any], None]

EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

#: What the lines of slots may name.
_NAMES = {
    "EPOCH": EPOCH,
    "UTC": datetime.UTC,
    "from_bytes": int.from_bytes,
    "moment_of": moment_of,
}


def compile_rows(
    slots: Iterable[Slot], names: Sequence[str], packed: Container[int] = ()
) -> FillRow:
    """Return what fills messages from rows, whose values are in the order of `names`.

    Those at the places `packed` are moments as bytes. Names without a slot are left out. It raises
    whatever a value raises that does not fit.
    """
    known = {slot.attribute: slot for slot in slots}
    given: dict[str, Any] = dict(_NAMES)
    lines = [f"{', '.join(f'v{place}' for place in range(len(names)))}, = row"]
    for place, name in enumerate(names):
        if name in known:
            lines += _lines(known[name], place, given, is_packed=place in packed)
    fill: FillRow = _compiled("row", lines, given)
    return fill


def compile_objects(slots: Iterable[Slot]) -> FillObject:
    """Return what fills messages from objects with all the attributes.

    It raises whatever a value raises that does not fit, and `AttributeError` for an absent one.
    """
    given: dict[str, Any] = dict(_NAMES)
    lines: list[str] = []
    for place, slot in enumerate(slots):
        source = f"getattr(item, {slot.attribute!r})"
        if _is_plain(slot.attribute):
            source = f"item.{slot.attribute}"
        lines += [f"v{place} = {source}", *_lines(slot, place, given)]
    fill: FillObject = _compiled("item", lines or ["pass"], given)
    return fill


def _compiled(source: str, lines: Iterable[str], given: dict[str, Any]) -> Any:
    text = "\n    ".join((f"def fill(message, {source}):", *lines))
    exec(text, given)  # noqa: S102 - see above
    return given["fill"]


def _lines(slot: Slot, place: int, given: dict[str, Any], *, is_packed: bool = False) -> list[str]:
    value = f"v{place}"
    given[f"f{place}"] = slot.put
    lines = [f"f{place}(message, {value})"]
    if slot.plain_name is not None and _is_plain(slot.plain_name):
        lines = [f"message.{slot.plain_name} = {value}"]
    elif slot.part_name is not None and _is_plain(slot.part_name):
        given[f"f{place}"] = slot.fill_part
        names = {"value": value, "part": f"message.{slot.part_name}", "fill": f"f{place}"}
        parts = slot.packed_lines if is_packed else slot.part_lines
        is_packed = is_packed and not parts
        lines = [line.format(**names) for line in parts or ("{fill}({part}, {value})",)]
    if is_packed:
        lines.insert(0, f"{value} = moment_of({value})")
    elif slot.takes_none:
        return lines
    return [f"if {value} is not None:", *(f"    {line}" for line in lines)]


def _is_plain(name: str) -> bool:
    """Tell whether a field's name can be written as an attribute."""
    return name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")
