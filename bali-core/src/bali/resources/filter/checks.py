"""From what a filter says to what it means for the fields of one list."""

from __future__ import annotations

import functools
from typing import Any

from bali.resources.filter.fields import FilterField, FilterFields, FilterFunction
from bali.resources.filter.literals import ValueType, near, shown
from bali.resources.filter.tree import (
    AllOf,
    AnyOf,
    Call,
    Comparison,
    Condition,
    FilterError,
    Invocation,
    Literal,
    Member,
    Negation,
    Operator,
    Presence,
    Restriction,
    Syntax,
    TextMatch,
)

__all__ = ["MAX_FILTER_CONDITIONS", "condition_of"]

#: How many conditions a filter may become; a word by itself is one for each field of text.
MAX_FILTER_CONDITIONS = 1000
_MAX_CACHED = 1024


@functools.lru_cache(maxsize=_MAX_CACHED)
def condition_of(text: str, fields: FilterFields) -> Condition | None:
    """Return what a filter means, None for one that says nothing.

    Raises `FilterError` with the column for whatever is wrong. Filters that have been read are
    remembered, so the same one costs nothing the next time.
    """
    if not text.strip():
        return None
    # The parser's library takes longer to load than most services need to start.
    from bali.resources.filter.parsing import parse  # noqa: PLC0415 - see above

    syntax = parse(text)
    return None if syntax is None else _Checker(fields).condition(syntax)


class _Checker:
    """Checks one filter. Its depth is bounded by the parser, so this may be recursive."""

    def __init__(self, fields: FilterFields) -> None:
        self._fields = fields.fields
        self._functions = fields.functions
        self._texts = tuple(item for item in self._fields.values() if _is_searched(item))
        self._count = 0

    def condition(self, node: Syntax) -> Condition:
        if isinstance(node, AllOf | AnyOf):
            return type(node)(tuple(self.condition(item) for item in node.items))
        if isinstance(node, Negation):
            return Negation(self.condition(node.item))
        if isinstance(node.subject, Call):
            return self._call(node, node.subject)
        if not node.comparator:
            return self._search(node.subject)
        field = self._field(node.subject)
        return self._comparison(field, node.comparator, node.argument, node)

    # -- a field and a value -------------------------------------------------------------------

    def _field(self, member: Member) -> FilterField:
        first, *others = member.parts
        if others:
            path = self._fields.get(".".join(item.text for item in member.parts))
            if path is not None:
                return path
        field = self._fields.get(first.text)
        if field is None:
            hint = near(first.text, self._fields)
            raise FilterError(
                first.column, f"there is no field {shown(first.text)} to filter by; {hint}"
            )
        if others:
            raise FilterError(
                first.column,
                f"{field.name!r} is no relation that a filter may look into; remove "
                f"{shown('.' + '.'.join(item.text for item in others))}",
            )
        return field

    def _comparison(
        self, field: FilterField, comparator: str, argument: Any, node: Restriction
    ) -> Condition:
        if isinstance(argument, AllOf | AnyOf):
            return type(argument)(
                tuple(self._comparison(field, comparator, item, node) for item in argument.items)
            )
        if isinstance(argument, Negation):
            return Negation(self._comparison(field, comparator, argument.item, node))
        if isinstance(argument, Restriction):  # one of several values: `field = (a OR b)`
            if argument.comparator:
                raise FilterError(argument.column, "only values stand in these parentheses")
            argument = argument.subject
        if isinstance(argument, Member):
            argument = argument.literal
        self._count_one(node.column)
        if isinstance(argument, Call):
            return self._compared_call(field, comparator, argument, node.column)
        return self._compared(field, comparator, argument, node.column)

    def _compared(
        self, field: FilterField, comparator: str, literal: Literal, column: int
    ) -> Condition:
        is_word = not literal.is_quoted
        if is_word and comparator == ":" and literal.pieces == ("", ""):
            return Presence(attribute=field.attribute)
        if is_word and literal.text == "null":
            if comparator not in ("=", "!=", ":"):
                raise FilterError(column, f"null is not {comparator} anything; use = or !=")
            return Presence(attribute=field.attribute, is_present=comparator == "!=")
        operator = self._operator(field, comparator, column)
        is_pattern = len(literal.pieces) > 1 and operator in (Operator.EQ, Operator.NE)
        if field.type.is_text and (comparator == ":" or is_pattern):
            pieces = tuple(field.type.checked(piece, literal.column) for piece in literal.pieces)
            return self._match(field, comparator, pieces)
        value = field.type.value(literal)
        return Comparison(attribute=field.attribute, operator=operator, value=value)

    def _match(self, field: FilterField, comparator: str, pieces: tuple[str, ...]) -> Condition:
        if comparator == ":":
            return TextMatch(attribute=field.attribute, pieces=("", *pieces, ""), is_folded=True)
        match = TextMatch(attribute=field.attribute, pieces=pieces)
        if comparator == "=":
            return match
        return AllOf((Presence(attribute=field.attribute), Negation(match)))

    def _operator(self, field: FilterField, comparator: str, column: int) -> Operator:
        operator = Operator.EQ if comparator == ":" else Operator(comparator)
        if not field.type.is_comparable:
            raise FilterError(
                column,
                f"values of {field.name!r} cannot be written in a filter; only whether there is "
                f"one can be asked: {field.name}:* or {field.name} = null",
            )
        if operator not in (Operator.EQ, Operator.NE) and not field.type.is_ordered:
            raise FilterError(
                column, f"{field.name!r} has no order; use = or != in the place of {comparator}"
            )
        return operator

    # -- a word by itself ----------------------------------------------------------------------

    def _search(self, member: Member) -> Condition:
        literal, column = member.literal, member.column
        if not literal.is_quoted and member.parts[0].text in self._fields:
            name = member.parts[0].text
            raise FilterError(
                column,
                f"{name!r} is a field: compare it, as in `{name} = ...` or `{name}:*`, or search "
                "for the word by putting it in quotes",
            )
        if not self._texts:
            raise FilterError(
                column, f"{shown(literal.text)} by itself is searched in text, and there is none"
            )
        self._count_one(column, len(self._texts))
        pieces = tuple(
            self._texts[0].type.checked(piece, literal.column) for piece in literal.pieces
        )
        found = tuple(self._match(field, ":", pieces) for field in self._texts)
        return found[0] if len(found) == 1 else AnyOf(found)

    # -- functions -----------------------------------------------------------------------------

    def _call(self, node: Restriction, call: Call) -> Invocation:
        found = self._invocation(call)
        if node.comparator:
            raise FilterError(
                node.column,
                f"{call.name}(...) is a condition by itself; nothing is compared with it",
            )
        self._count_one(call.column)
        return found

    def _compared_call(
        self, field: FilterField, comparator: str, call: Call, column: int
    ) -> Comparison:
        return Comparison(
            attribute=field.attribute,
            operator=self._operator(field, comparator, column),
            value=self._invocation(call, field.type),
        )

    def _invocation(self, call: Call, wanted: ValueType | None = None) -> Invocation:
        function = self._functions.get(call.name)
        if function is None:
            hint = near(call.name, self._functions, none="this list declares none")
            raise FilterError(call.column, f"there is no function {shown(call.name)}; {hint}")
        types = _types(function, call)
        pairs = zip(call.arguments, types, strict=True)
        return Invocation(
            function=function.function,
            arguments=tuple(self._argument(item, kind) for item, kind in pairs),
            make=None if wanted is None else functools.partial(_converted, wanted),
        )

    def _argument(self, argument: Any, kind: ValueType) -> Any:
        if isinstance(argument, Call):
            return self._invocation(argument, kind)
        if isinstance(argument, Literal):
            return kind.value(argument)
        column = getattr(argument, "column", 1)
        raise FilterError(column, "an argument of a function is one value")

    def _count_one(self, column: int, count: int = 1) -> None:
        self._count += count
        if self._count > MAX_FILTER_CONDITIONS:
            raise FilterError(column, f"more than {MAX_FILTER_CONDITIONS} conditions")


def _is_searched(field: FilterField) -> bool:
    """Tell whether a word by itself is looked for in a field: in text of the item itself."""
    return field.type.is_text and "." not in field.attribute


def _types(function: FilterFunction, call: Call) -> tuple[ValueType, ...]:
    given = len(call.arguments)
    types = function.parameters[:given]
    if given > len(types) and function.rest is not None:
        types += (function.rest,) * (given - len(types))
    if given < function.required or len(types) < given:
        most = "more" if function.rest is not None else len(function.parameters)
        wanted = (
            function.required if most == function.required else f"{function.required} to {most}"
        )
        raise FilterError(
            call.column, f"{function.name}(...) takes {wanted} arguments, not {given}"
        )
    return types


def _converted(wanted: ValueType, value: Any) -> Any:
    return None if value is None else wanted.adapter.validate_python(value)
