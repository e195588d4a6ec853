"""What AIP-160's grammar has is read as it says; everything else is refused with its column."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bali.resources.filter.parsing import (
    MAX_FILTER_DEPTH,
    MAX_FILTER_TERMS,
    MAX_FILTER_WILDCARDS,
    parse,
)
from bali.resources.filter.tree import (
    AllOf,
    AnyOf,
    Call,
    FilterError,
    Literal,
    Member,
    Negation,
    Restriction,
)

_SIGNS = {AllOf: "&", AnyOf: "|"}


def outline(node: Any) -> str:
    """Return a tree as text: all logic in parentheses, quoted text in quotes."""
    if isinstance(node, AllOf | AnyOf):
        return f"({_SIGNS[type(node)].join(map(outline, node.items))})"
    if isinstance(node, Negation):
        return f"!{outline(node.item)}"
    if isinstance(node, Call):
        return f"{node.name}[{','.join(map(outline, node.arguments))}]"
    if isinstance(node, Member):
        return ".".join(map(outline, node.parts))
    if isinstance(node, Literal):
        text = "%".join(node.pieces)
        return f'"{text}"' if node.is_quoted else text
    assert isinstance(node, Restriction)
    argument = outline(node.argument) if node.comparator else ""
    return f"{outline(node.subject)}{node.comparator}{argument}"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "a"),
        ("a = 1", "a=1"),
        ("a=1", "a=1"),
        ("a\n=\t1", "a=1"),
        ("a <= 1 b >= 2 c < 3 d > 4 e != 5 f : 6", "(a<=1&b>=2&c<3&d>4&e!=5&f:6)"),
        ("a AND b OR c AND d", "(a&(b|c)&d)"),
        ("a b OR c d", "(a&(b|c)&d)"),
        ("a b AND c d", "(a&b&c&d)"),
        ("(a AND b) OR c", "((a&b)|c)"),
        ("NOT a b", "(!a&b)"),
        ("NOT (a OR b)", "!(a|b)"),
        ("NOT(a)", "!a"),
        ("-a -b:c", "(!a&!b:c)"),
        ("-(a b)", "!(a&b)"),
        ('-file:".java"', '!file:".java"'),
        ("a = -5", "a=-5"),
        ("a=-5.5e-3", "a=-5.5e-3"),
        ("a.b.c = x.y", "a.b.c=x.y"),
        ("a.NOT.OR = 1", "a.NOT.OR=1"),
        ('"a b" = 1', '"a b"=1'),
        ('a."b c" = 1', 'a."b c"=1'),
        ("ANDROID ORDER NOTE and or not", "(ANDROID&ORDER&NOTE&and&or&not)"),
        ("a = *", "a=%"),
        ("a = x*y*", "a=x%y%"),
        (r"a = x\*y", "a=x*y"),
        ("a = *.java", "a=%.java"),
        (r'a = "say \"hi\" \\ \* * (AND)"', 'a="say "hi" \\ * % (AND)"'),
        ("a = 'it is \"quoted\"'", 'a="it is "quoted""'),
        ('a = ""', 'a=""'),
        ("f()", "f[]"),
        ("f(a)", "f[a]"),
        ('f(a, "b", -3, g(c)) = h()', 'f[a,"b",-3,g[c]]=h[]'),
        ("f (a)", "(f&a)"),
        ("a = (b OR -c)", "a=(b|!c)"),
        ("a >= 2026-01-31T08:00:00.5+01:00", "a>=2026-01-31T08:00:00.5+01:00"),
        ("a = 2026-01-31", "a=2026-01-31"),
        ("a = ann@example.com", "a=ann@example.com"),
        ("a = żółw🐢", "a=żółw🐢"),
    ],
)
def test_the_grammar(text: str, expected: str) -> None:
    assert outline(parse(text)) == expected


@pytest.mark.parametrize("text", ["", " ", "\n\t "])
def test_nothing_says_nothing(text: str) -> None:
    assert parse(text) is None


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("a =", 4),
        ("a = = b", 5),
        ("a == b", 4),
        ("= a", 1),
        ("(a", 3),
        ("a)", 2),
        ("()", 2),
        ("a AND", 6),
        ("AND a", 1),
        ("a OR OR b", 6),
        ("NOT NOT a", 5),
        ("NOT", 4),
        ("--a", 2),
        ("a - b", 3),
        ("a = - 5", 5),
        ('a = -"5"', 5),
        ("a . b", 3),
        ("a..b", 3),
        ("a.", 2),
        ('a = "b', 5),
        ("a = 'b", 5),
        ('a = "b\\"', 5),
        (r"a = \d", 5),
        (r'a = "b\d"', 7),
        ("a = b, c", 6),
        ("a = 10:30", 7),
        ("a ! b", 3),
        ("f(", 3),
        ("f(a", 4),
        ("f(a,)", 5),
        ("f(a b)", 5),
        ("f(a).b", 5),
        ("AND(a)", 1),
    ],
)
def test_what_is_wrong_has_a_column(text: str, column: int) -> None:
    with pytest.raises(FilterError) as caught:
        parse(text)
    assert caught.value.column == column
    assert str(caught.value).startswith(f"column {column}: ")


def test_columns_are_those_of_the_text() -> None:
    found = parse('  a = 1 AND\n  b.c : "x"')
    assert isinstance(found, AllOf)
    columns = [(item.subject.column, item.column, item.argument.column) for item in found.items]
    assert columns == [(3, 5, 7), (15, 19, 21)]


def test_bounds_are_refused_beyond_and_kept_below() -> None:
    deep = "(" * MAX_FILTER_DEPTH + "a" + ")" * MAX_FILTER_DEPTH
    assert outline(parse(deep)) == "a"
    terms = " ".join(["a"] * MAX_FILTER_TERMS)
    assert parse(terms) is not None
    assert parse("a = " + "x*" * MAX_FILTER_WILDCARDS) is not None
    for text in (
        f"({deep})",
        f"f({deep})",
        f"{terms} a",
        f"a = ({' OR '.join(['a'] * MAX_FILTER_TERMS)} OR a)",
        f"f({','.join(['a'] * MAX_FILTER_TERMS)})",
        "a = " + "x*" * (MAX_FILTER_WILDCARDS + 1),
    ):
        with pytest.raises(FilterError, match=r"at most|more than"):
            parse(text)


def test_parentheses_in_quotes_are_no_depth() -> None:
    assert parse(f'a = "{"(" * 500}" b = "{")" * 400}"') is not None


@pytest.mark.parametrize("part", ["(", "((", "-(", "NOT (", "f(", "a=(", "a=", "NOT ", "- "])
def test_no_depth_is_a_recursion_error(part: str) -> None:
    for text in (part * 20_000, part * 20_000 + "a", part * 20_000 + "a" + ")" * 20_000):
        with pytest.raises(FilterError):
            parse(text)


@given(st.text(max_size=60) | st.text("ab=:<>!()., -*\\\"'ANDORT1\n", max_size=80))
def test_any_text_is_read_or_refused(text: str) -> None:
    column = 1
    try:
        parse(text)
    except FilterError as error:
        column = error.column
    assert 1 <= column <= len(text) + 1
