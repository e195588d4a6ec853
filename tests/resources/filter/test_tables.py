"""Our driver reads what lark's own reads, and refuses what it refuses."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lark import UnexpectedInput

from bali.resources.filter import parsing
from bali.resources.filter.tables import Tables, UnreadableError, Word
from bali.resources.filter.tree import FilterError

PIECES = (
    "a", "bc", "AND", "OR", "NOT", "AND(", "f(", "(", ")", " ", "  ", "-", ".", ",", "=", "!=",
    "<", "<=", ":", "*", "5", "2.5", "2026-01-02T03:04:05Z", '"x y"', "'z'", '"', "\\*", "\\q",
    "\n", "ANDROID", "é", "!",
)  # fmt: skip


def outcome(read: Any, text: str) -> Any:
    """Return what is read, or what is said instead."""
    try:
        return read(text)
    except FilterError as error:
        return error.column, str(error)
    except (UnexpectedInput, UnreadableError):
        return "refused"


@given(st.lists(st.sampled_from(PIECES), max_size=14).map("".join))
def test_both_drivers_read_the_same(text: str) -> None:
    expected = outcome(parsing._parser().parse, text)
    assert outcome(parsing._tables().read, text) == expected


@given(st.lists(st.sampled_from(PIECES), max_size=14).map(" ".join))
def test_both_drivers_read_the_same_with_spaces(text: str) -> None:
    expected = outcome(parsing._parser().parse, text)
    assert outcome(parsing._tables().read, text) == expected


@given(st.text(max_size=30))
def test_both_drivers_read_the_same_of_any_text(text: str) -> None:
    expected = outcome(parsing._parser().parse, text)
    assert outcome(parsing._tables().read, text) == expected


def test_words_have_type_and_place() -> None:
    words = list(Tables(parsing._parser())._words("a = AND ANDROID"))
    found = [(word, word.type, word.start_pos) for _, word in words if isinstance(word, Word)]
    assert found == [
        ("a", "TEXT", 0), ("=", "COMPARATOR", 2), ("AND", "AND", 4), ("ANDROID", "TEXT", 8),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["a =", "a = b)", "a = 'b", "(a"])
def test_what_is_not_of_the_grammar_is_refused(text: str) -> None:
    with pytest.raises(UnreadableError):
        parsing._tables().read(text)
