"""The grammar of AIP-160 (https://google.aip.dev/160, with its EBNF), read by lark.

This module loads lark: import it when there is a filter to read, not before.
"""

from __future__ import annotations

import functools
import re
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from bali.resources.filter.tables import Tables, UnreadableError, Word
from bali.resources.filter.tree import (
    AllOf,
    AnyOf,
    Call,
    FilterError,
    Literal,
    Member,
    Negation,
    Restriction,
    Syntax,
)

__all__ = ["MAX_FILTER_DEPTH", "MAX_FILTER_TERMS", "MAX_FILTER_WILDCARDS", "parse"]

#: How many parentheses, of groups and functions, may be in one another.
MAX_FILTER_DEPTH = 32
#: How many restrictions, and arguments of functions, a filter may have.
MAX_FILTER_TERMS = 100
#: How many `*` a value may have.
MAX_FILTER_WILDCARDS = 10

_MAX_SHOWN = 40
_ESCAPE = re.compile(r"\\(.)|(\*)", re.DOTALL)
_ESCAPABLE = "\\*\"'"
_PARENTHESIS = re.compile(r"""\\.|"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|([()])""", re.DOTALL)

# OR binds tighter than AND. A name and its parenthesis are one token, since `a (b)` is two terms;
# a dot joins only what stands right beside it, and a minus belongs to what follows it at once.
_GRAMMAR = r"""
start: expression?
expression: sequence (AND sequence)*
sequence: factor+
factor: term (OR term)*
term: restriction | _LPAR expression _RPAR | (NOT | MINUS) (restriction | _LPAR expression _RPAR)
restriction: (member | call) (COMPARATOR argument)?
argument: member | MINUS member | call | _LPAR expression _RPAR
member: (TEXT | STRING | MOMENT) (_DOT (TEXT | STRING | AND | OR | NOT))*
call: CALL (argument (_COMMA argument)*)? _RPAR

AND: "AND"
OR: "OR"
NOT: "NOT"
_LPAR: "("
_RPAR: ")"
_COMMA: ","
_DOT: /(?<=\S)\.(?=\S)/
MINUS: /-(?=\S)/
COMPARATOR: /<=|>=|!=|[<>=:]/
CALL.3: /(?!(?:AND|OR|NOT)\()[A-Za-z_][A-Za-z0-9_]*\(/
MOMENT.2: /\d{4}-\d\d-\d\d[Tt]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:\d\d)?/
STRING: /"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/s
TEXT: /(?:\\.|[^\s(),.:=<>!"'\\-])(?:\\.|[^\s(),.:=<>!"'\\])*/s
%ignore /\s+/
"""


def parse(text: str) -> Syntax | None:
    """Return what a filter says, None for an empty one.

    Raises `FilterError` for what the grammar does not have, and for more than the limits above.
    """
    _check_depth(text)
    try:
        found: Any = _read(text)
    except UnexpectedInput as error:
        raise _unexpected(text, error) from None
    _check_terms(found)
    return found  # type: ignore[no-any-return]  # of `_Builder.start`


def _read(text: str) -> Any:
    try:
        return _tables().read(text)
    except UnreadableError:
        return _parser().parse(text)  # to say what is wrong with it


@functools.lru_cache(maxsize=1)
def _tables() -> Tables:
    return Tables(_parser())


@functools.lru_cache(maxsize=1)
def _parser() -> Lark:
    return Lark(
        _GRAMMAR,
        parser="lalr",
        lexer="basic",  # a keyword is one wherever it stands
        transformer=_Builder(),
        maybe_placeholders=False,
    )


class _Builder(Transformer[Any, Any]):
    """Makes the tree while lark reads, from the leaves up, so that no depth is a recursion."""

    def start(self, items: list[Any]) -> Any:
        return items[0] if items else None

    def expression(self, items: list[Any]) -> Any:
        return _joined(AllOf, items)

    def sequence(self, items: list[Any]) -> Any:
        return _joined(AllOf, items)

    def factor(self, items: list[Any]) -> Any:
        return _joined(AnyOf, items)

    def term(self, items: list[Any]) -> Any:
        return Negation(items[1]) if isinstance(items[0], str) else items[0]

    def restriction(self, items: list[Any]) -> Restriction:
        subject, *rest = items
        if not rest:
            return Restriction(subject=subject, column=subject.column)
        comparator, argument = rest
        return Restriction(
            subject=subject,
            comparator=str(comparator),
            argument=argument,
            column=_column(comparator),
        )

    def argument(self, items: list[Any]) -> Any:
        if not isinstance(items[0], str):
            found: Any = items[0]
            return found.literal if isinstance(found, Member) else found
        minus, member = items
        value: Literal = member.literal
        first, *others = value.pieces
        column = _column(minus)
        if value.is_quoted or value.column != column + 1:
            raise FilterError(column, "a minus belongs right before a number")
        return Literal(pieces=(f"-{first}", *others), is_quoted=False, column=column)

    def member(self, items: list[Token | Word]) -> Member:
        return Member(parts=tuple(_literal(item) for item in items))

    def call(self, items: list[Any]) -> Call:
        name, *arguments = items
        return Call(name=name[:-1], arguments=tuple(arguments), column=_column(name))


def _joined(kind: type[AllOf | AnyOf], items: list[Any]) -> Any:
    """Return items without the words between them; those of the same kind are taken apart."""
    if len(items) == 1:
        return items[0]
    found: list[Any] = []
    for item in items:
        if not isinstance(item, str):
            found.extend(item.items if isinstance(item, kind) else (item,))
    return kind(tuple(found))


def _literal(token: Token | Word) -> Literal:
    is_quoted = token.type == "STRING"
    start = 1 if is_quoted else 0
    text = token[1:-1] if is_quoted else str(token)
    if "*" not in text and "\\" not in text:
        return Literal(pieces=(text,), is_quoted=is_quoted, column=_column(token))
    pieces, end = [""], 0
    for match in _ESCAPE.finditer(text):
        pieces[-1] += text[end : match.start()]
        end = match.end()
        if match[2]:
            pieces.append("")
        elif match[1] in _ESCAPABLE:
            pieces[-1] += match[1]
        else:
            column = _column(token) + start + match.start()
            raise FilterError(column, "a backslash stands only before \\, *, \" and '")
    pieces[-1] += text[end:]
    if len(pieces) > MAX_FILTER_WILDCARDS + 1:
        raise FilterError(_column(token), f"a value has at most {MAX_FILTER_WILDCARDS} `*`")
    return Literal(pieces=tuple(pieces), is_quoted=is_quoted, column=_column(token))


def _column(token: Token | Word) -> int:
    return (token.start_pos or 0) + 1


def _check_depth(text: str) -> None:
    if text.count("(") <= MAX_FILTER_DEPTH:
        return
    depth = 0
    for match in _PARENTHESIS.finditer(text):
        depth += {"(": 1, ")": -1}.get(match[1], 0)
        if depth > MAX_FILTER_DEPTH:
            raise FilterError(
                match.start() + 1, f"at most {MAX_FILTER_DEPTH} parentheses in one another"
            )


def _check_terms(found: Any) -> None:
    pending, count = [found], 0
    while pending:
        node = pending.pop()
        if isinstance(node, AllOf | AnyOf):
            pending.extend(node.items)
        elif isinstance(node, Negation):
            pending.append(node.item)
        elif isinstance(node, Call):
            pending.extend(node.arguments)
        elif isinstance(node, Restriction):
            count += 1
            pending.append(node.subject)
            if not isinstance(node.argument, Literal):
                pending.append(node.argument)
        elif isinstance(node, Literal):  # an argument of a function
            count += 1
    if count > MAX_FILTER_TERMS:
        raise FilterError(1, f"more than {MAX_FILTER_TERMS} terms")


def _unexpected(text: str, error: UnexpectedInput) -> FilterError:
    """Return lark's error in words, without what it would expect instead by its own names."""
    if isinstance(error, UnexpectedCharacters):
        position: Any = error.pos_in_stream  # declared as None, and always a number
        column = position + 1
        found = text[column - 1]
        if found in "\"'":
            return FilterError(column, f"the quote {found} is not closed")
        return FilterError(column, f"{found!r} is not expected here; {_QUOTE}")
    if not isinstance(error, UnexpectedToken) or error.token.type == "$END":
        expected = set(getattr(error, "expected", ()))
        missing = "a field or a value" if "TEXT" in expected else "a closing parenthesis"
        return FilterError(len(text) + 1, f"the filter ends where {missing} is missing")
    column, shown = _column(error.token), repr(str(error.token)[:_MAX_SHOWN])
    if "$END" not in error.expected and "TEXT" in error.expected:
        return FilterError(column, f"{shown} stands where a field or a value is missing")
    return FilterError(column, f"{shown} is not expected here; {_QUOTE}")


_QUOTE = "put a value with such characters in quotes"
