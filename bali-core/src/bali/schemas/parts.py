"""Parts of objects: what the paths of a field mask name, and nothing else (AIP-157, AIP-161).

A path is the name of a field as callers write it, or several with dots between (`address.city`).
`*` stands for each item of a list or map (`lines.*.sku`), and at the end for everything there is
(`*`, `address.*`). Input-only fields have no path. Of one of several variants, the field that tells
them apart is in every part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

from pydantic import BaseModel

from bali.schemas.computed import needs_part_class, part_class
from bali.schemas.tree import Field, ListNode, MapNode, Node, Record, UnionNode

__all__ = [
    "EVERYTHING",
    "Cut",
    "Paths",
    "UnknownPath",
    "all_of",
    "chosen",
    "each",
    "part_of",
    "paths_in",
    "remade",
]

EVERYTHING = "*"
#: Makes a part of a value.
Cut: TypeAlias = Callable[[Any], Any]
#: The first names of some paths, each with what follows it; None for all that it holds.
Paths: TypeAlias = Mapping[str, Any]


class UnknownPath(ValueError):
    """A path leads nowhere; `path` is the first part of it that does."""

    def __init__(self, path: str) -> None:
        self.path = path
        super().__init__(path)


def paths_in(paths: Iterable[str]) -> Paths | None:
    """Return paths by their first names; None when one of them is everything."""
    found: dict[str, Any] = {}
    for path in paths:
        *parents, last = path.removesuffix(f".{EVERYTHING}").split(".")
        if path == EVERYTHING:
            return None
        inner: dict[str, Any] | None = found
        for name in parents:
            inner = inner.setdefault(name, {}) if inner is not None else None
        if inner is not None:
            inner[last] = None
    return found


def part_of(record: Record, paths: Paths) -> Cut:
    """Return what makes a part of an object of a record, which is left as it is.

    The part lacks the other fields. Raises `UnknownPath`.
    """
    return _Compiler(needs_classes=needs_part_class(record)).record(record, paths, "")


def all_of(record: Record) -> Cut:
    """Return what makes an object of part classes with all that a caller may see."""
    return _Compiler(needs_classes=True).all_of_record(record)


def remade(
    value: BaseModel, shown: dict[str, Any], *, kind: type[BaseModel] | None = None
) -> BaseModel:
    """Return an object like `value` with these attributes and no others."""
    made = (kind or type(value)).__new__(kind or type(value))
    known = value.__pydantic_fields_set__
    _set(made, "__dict__", shown)
    _set(made, "__pydantic_fields_set__", {name for name in known if name in shown})
    _set(made, "__pydantic_extra__", None)
    _set(made, "__pydantic_private__", value.__pydantic_private__)
    return made


class _Part:
    """Makes parts of the objects of one record; its fields come later, as it may hold itself."""

    def __init__(self, record: Record, *, needs_classes: bool) -> None:
        kind: Any = record.type
        self._kind = part_class(kind) if needs_classes and kind else None
        self._computed = frozenset(record.type.model_computed_fields if record.type else ())
        self.fields: list[tuple[Field, Cut | None]] = []

    def __call__(self, value: Any) -> Any:
        if value is None:
            return None
        if isinstance(value, Mapping):
            return {
                field.wire_name: _cut(cut, value[field.wire_name])
                for field, cut in self.fields
                if field.wire_name in value
            }
        values = value.__dict__
        shown: dict[str, Any] = {}
        for field, cut in self.fields:
            name = field.name
            if name in values:
                shown[name] = _cut(cut, values[name])
            elif name in self._computed:
                shown[name] = _cut(cut, getattr(value, name))
        return remade(value, shown, kind=self._kind)


class _Compiler:
    """Turns paths into cuts. With `needs_classes`, what is kept whole is made anew, too."""

    def __init__(self, *, needs_classes: bool) -> None:
        self._needs_classes = needs_classes
        self._whole: dict[int, _Part] = {}

    def record(self, record: Record, paths: Paths, place: str) -> Cut:
        by_name = _visible(record)
        part = _Part(record, needs_classes=self._needs_classes)
        for name, inner in paths.items():
            path = f"{place}{name}"
            if name not in by_name:
                raise UnknownPath(path)
            part.fields.append((by_name[name], self._node(by_name[name].node, inner, path)))
        return part

    def _node(self, node: Node, paths: Paths | None, place: str) -> Cut | None:
        if paths is None:
            return self._all_of(node)
        if isinstance(node, Record):
            return self.record(node, paths, f"{place}.")
        if isinstance(node, UnionNode):
            return self._union(node, paths, place)
        if not isinstance(node, ListNode | MapNode):
            raise UnknownPath(f"{place}.{next(iter(paths))}")
        for name in paths:
            if name != EVERYTHING:
                raise UnknownPath(f"{place}.{name}")
        item = node.item if isinstance(node, ListNode) else node.value
        return each(node, self._node(item, paths[EVERYTHING], f"{place}.{EVERYTHING}"))

    def _union(self, node: UnionNode, paths: Paths, place: str) -> Cut:
        known = {name for variant in node.variants for name in _visible(variant.record)}
        for name in paths:
            if name not in known:
                raise UnknownPath(f"{place}.{name}")
        cuts: dict[Any, Cut | None] = {}
        for variant in node.variants:
            by_name = _visible(variant.record)
            own = {name: inner for name, inner in paths.items() if name in by_name}
            tag = variant.record.field(node.discriminator)
            own[tag.wire_name if tag else node.discriminator] = None
            cuts[variant.tag] = self.record(variant.record, own, f"{place}.")
        return chosen(node, cuts)

    def _all_of(self, node: Node) -> Cut | None:
        if not self._needs_classes or not needs_part_class(node):
            return None
        if isinstance(node, Record):
            return self.all_of_record(node)
        if isinstance(node, UnionNode):
            cuts = {variant.tag: self.all_of_record(variant.record) for variant in node.variants}
            return chosen(node, cuts)
        inner = node.item if isinstance(node, ListNode) else getattr(node, "value", node)
        return each(node, self._all_of(inner))

    def all_of_record(self, record: Record) -> _Part:
        known = self._whole.get(id(record))
        if known is None:
            known = self._whole[id(record)] = _Part(record, needs_classes=True)
            for field in _visible(record).values():
                known.fields.append((field, self._all_of(field.node)))
        return known


def each(node: Node, cut: Cut | None) -> Cut | None:
    """Return what makes parts of the items of a list or map."""
    if cut is None:
        return None
    if isinstance(node, MapNode):
        return lambda value: value and {key: cut(item) for key, item in value.items()}
    return lambda value: value and type(value)(cut(item) for item in value)


def chosen(node: UnionNode, cuts: Mapping[Any, Cut | None]) -> Cut:
    """Return what makes a part of a variant, given what does so for each."""

    def cut(value: Any) -> Any:
        if isinstance(value, Mapping):
            tag = value.get(node.discriminator)
        else:
            tag = getattr(value, node.discriminator, None)
        own = cuts.get(tag)
        return value if own is None else own(value)

    return cut


def _visible(record: Record) -> dict[str, Field]:
    return {field.wire_name: field for field in record.fields if not field.is_input_only}


def _cut(cut: Cut | None, value: Any) -> Any:
    return value if cut is None else cut(value)


_set = object.__setattr__
