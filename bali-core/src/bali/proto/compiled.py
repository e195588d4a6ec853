"""Codecs as code: what puts a row into a message, written when it is first needed.

A table of fields is walked anew for each message. For the rows of a list that is most of the work,
so it is written down as the assignments that somebody would write by hand, and compiled, as
`dataclasses` does it. The names in it are those of message fields, which protobuf has checked.
"""

from __future__ import annotations

import keyword
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from bali.proto.codec import Slot

__all__ = ["FillRow", "compile_rows"]

#: Puts a row of values into an empty message.
FillRow: TypeAlias = Callable[[Any, Sequence[Any]], None]


def compile_rows(slots: Iterable[Slot], names: Sequence[str]) -> FillRow:
    """Return what fills messages from rows, whose values are in the order of `names`.

    Names without a slot are left out. It raises whatever a value raises that does not fit.
    """
    known = {slot.attribute: slot for slot in slots}
    given: dict[str, Any] = {}
    lines = ["def fill(message, row):"]
    lines += [f"    {', '.join(f'v{place}' for place in range(len(names)))}, = row"]
    for place, name in enumerate(names):
        slot = known.get(name)
        if slot is None:
            continue
        indent = "    "
        if not slot.takes_none:
            lines.append(f"    if v{place} is not None:")
            indent = "        "
        lines.append(f"{indent}{_statement(slot, place, given)}")
    exec("\n".join(lines), given)  # noqa: S102 - see above
    fill: FillRow = given["fill"]
    return fill


def _statement(slot: Slot, place: int, given: dict[str, Any]) -> str:
    if slot.plain_name is not None and _is_plain(slot.plain_name):
        return f"message.{slot.plain_name} = v{place}"
    if slot.part_name is not None and _is_plain(slot.part_name):
        given[f"f{place}"] = slot.fill_part
        return f"f{place}(message.{slot.part_name}, v{place})"
    given[f"f{place}"] = slot.put
    return f"f{place}(message, v{place})"


def _is_plain(name: str) -> bool:
    """Tell whether a field's name can be written as an attribute."""
    return name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("__")
