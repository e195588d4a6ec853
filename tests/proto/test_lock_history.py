"""Any sequence of edits to the resources: no number is ever given to something else."""

from __future__ import annotations

import enum
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bali.errors import ConfigurationError
from bali.proto import Method, ServiceShape, build_service, proto_text
from tests.proto.protoc import compile_text
from tests.proto.samples import Line, Shape, record_of, shape_of

TYPES = {
    "int": int,
    "text": str | None,
    "list": list[int],
    "gaps": list[int | None],
    "maybe": list[str] | None,
    "map": dict[str, Line],
    "union": Shape,
    "anything": Any,
}
make_enum: Any = enum.Enum  # whose members are known at run time only
MESSAGES = ("Ask", "Tell", "Show")
NAMES = ("a", "b", "_e", "c", "value", "line_item", "d")
VALUES = ("RED", "GREEN", "BLUE", "UNSPECIFIED", "CYAN")


@dataclass
class State:
    """What is declared: the fields of each message, the values of an enum, the methods."""

    fields: dict[str, list[tuple[str, str]]] = field(
        default_factory=lambda: {name: [("a", "int")] for name in MESSAGES}
    )
    values: list[str] = field(default_factory=lambda: ["RED"])
    methods: list[str] = field(default_factory=lambda: ["Ask"])
    refused: set[str] = field(default_factory=set)

    def shape(self) -> ServiceShape:
        colour: Any = make_enum("Colour", [(name, name.lower()) for name in self.values])
        answer = record_of("Answer", colour=colour)
        types: dict[str, Any] = {**TYPES, "colour": colour}
        return shape_of(
            *(
                Method(
                    name=f"Do{name}",
                    request=record_of(name, **{n: types[kind] for n, kind in self.fields[name]}),
                    response=answer,
                )
                for name in self.methods
            )
        )

    def edit(self, step: tuple[str, str, str, str, str]) -> None:
        what, message, name, kind, value = step
        fields = self.fields[message]
        known = [item for item, _ in fields]
        if what == "put" and name in known:
            fields[known.index(name)] = (name, kind)
        elif what == "put":
            fields.append((name, kind))
        elif what == "remove" and len(fields) > 1:
            fields.pop(len(name + kind) % len(fields))
        elif what == "rename" and name not in known:
            fields[0] = (name, fields[0][1])
        elif what == "reorder":
            fields.reverse()
            self.values.reverse()
            self.methods.reverse()
        elif what == "value":
            _toggle(self.values, value)
        elif what == "method":
            _toggle(self.methods, message)

    def obey(self, refusal: str) -> None:
        """Do what the refusal of another type says: give the new field another name."""
        found = re.search(r"field (\w+)\.(\w+) is .* there and .* now", refusal)
        assert found is not None, refusal
        fields = self.fields[found[1]]
        taken = {name for name, _ in fields} | self.refused
        fresh = next(name for name in (f"new_{n}" for n in range(99)) if name not in taken)
        self.refused.add(fresh)
        place = [name for name, _ in fields].index(found[2])
        fields[place] = (fresh, fields[place][1])


def _toggle(items: list[str], item: str) -> None:
    if item not in items:
        items.append(item)
    elif len(items) > 1:
        items.remove(item)


Meanings = dict[tuple[str, int], str]


def meanings(file: FileDescriptorProto) -> Iterator[tuple[tuple[str, int], str]]:
    """Give what each number of a file stands for."""
    for message in file.message_type:
        for item in message.field:
            yield (
                (message.name, item.number),
                f"{item.name} {item.type} {item.label}{item.type_name}",
            )
    for kind in file.enum_type:
        for value in kind.value:
            yield (kind.name, value.number), value.name


def free(file: FileDescriptorProto) -> Iterator[tuple[str, int]]:
    """Give the numbers that are reserved."""
    for message in file.message_type:
        for item in message.reserved_range:
            yield from ((message.name, number) for number in range(item.start, item.end))
    for kind in file.enum_type:
        for span in kind.reserved_range:
            yield from ((kind.name, number) for number in range(span.start, span.end + 1))


STEPS = st.tuples(
    st.sampled_from(["put", "put", "put", "remove", "rename", "reorder", "value", "method"]),
    st.sampled_from(MESSAGES),
    st.sampled_from(NAMES),
    st.sampled_from([*TYPES, "colour"]),
    st.sampled_from(VALUES),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("history")


@given(steps=st.lists(STEPS, max_size=12))
@settings(max_examples=80, suppress_health_check=[HealthCheck.too_slow])
def test_no_number_ever_means_something_else(folder: Path, steps: list[Any]) -> None:
    state = State()
    committed = compiled(state.shape(), None, folder)
    history: Meanings = dict(meanings(committed))
    for step in steps:
        state.edit(step)
        following = next_file(state, committed, folder)
        now = dict(meanings(following))
        for place, meaning in now.items():
            assert history.setdefault(place, meaning) == meaning
        assert history.keys() == now.keys() | set(free(following))
        assert not now.keys() & set(free(following))
        assert compiled(state.shape(), following, folder) == following
        committed = following


def next_file(state: State, committed: FileDescriptorProto, folder: Path) -> FileDescriptorProto:
    """Return the file of a state, once every field of another type has another name."""
    while True:
        try:
            return compiled(state.shape(), committed, folder)
        except ConfigurationError as error:
            state.obey(str(error))


def compiled(
    shape: ServiceShape, committed: FileDescriptorProto | None, folder: Path
) -> FileDescriptorProto:
    """Return the file as protoc reads its text, which has to be as it runs."""
    bound = build_service(shape, committed)
    own, read = FileDescriptorProto(), FileDescriptorProto()
    bound.file.CopyToProto(own)
    pool = compile_text(proto_text(bound), folder)
    pool.FindFileByName("sample.proto").CopyToProto(read)
    assert own == read
    return read
