"""A filter is checked against the fields of its list: names, types, operators, functions."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from bali.resources.filter import (
    MAX_FILTER_CONDITIONS,
    AllOf,
    AnyOf,
    Comparison,
    FilterError,
    FilterFields,
    Invocation,
    Negation,
    Operator,
    Presence,
    TextMatch,
    condition_of,
    filter_fields,
)
from bali.schemas import Describer
from tests.resources.filter.reading import FIELDS, condition


def compared(attribute: str, value: Any, operator: Operator = Operator.EQ) -> Comparison:
    return Comparison(attribute=attribute, operator=operator, value=value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("   ", None),
        ("whole = 1", compared("whole", 1)),
        ("whole:1", compared("whole", 1)),
        ('"whole" != 1', compared("whole", 1, Operator.NE)),
        ("whole <= -1", compared("whole", -1, Operator.LE)),
        ("label = a", compared("label", "a")),
        ('label = "null"', compared("label", "null")),
        ("label = null", Presence(attribute="label", is_present=False)),
        ("label != null", Presence(attribute="label")),
        ("label:null", Presence(attribute="label", is_present=False)),
        ("label:*", Presence(attribute="label")),
        ('label:"*"', TextMatch(attribute="label", pieces=("", "", "", ""), is_folded=True)),
        ("data:*", Presence(attribute="data")),
        ("raw != null", Presence(attribute="raw")),
        ("tags = null", Presence(attribute="tags", is_present=False)),
        ("label:a", TextMatch(attribute="label", pieces=("", "a", ""), is_folded=True)),
        ("label = a*", TextMatch(attribute="label", pieces=("a", ""))),
        ("label < a*", compared("label", "a*", Operator.LT)),
        (
            "label != a*",
            AllOf(
                (
                    Presence(attribute="label"),
                    Negation(TextMatch(attribute="label", pieces=("a", ""))),
                )
            ),
        ),
        (
            "whole = (1 OR -2)",
            AnyOf((compared("whole", 1), Negation(compared("whole", 2)))),
        ),
        ("mail:example", TextMatch(attribute="mail", pieces=("", "example", ""), is_folded=True)),
        (
            "hello",
            AnyOf(
                (
                    TextMatch(attribute="label", pieces=("", "hello", ""), is_folded=True),
                    TextMatch(attribute="mail", pieces=("", "hello", ""), is_folded=True),
                )
            ),
        ),
    ],
)
def test_what_a_filter_means(text: str, expected: Any) -> None:
    assert condition(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wohle = 1", "column 1: there is no field 'wohle' to filter by; did you mean 'whole'?"),
        ("zzz = 1", "column 1: there is no field 'zzz' to filter by; there are flag, whole, real"),
        ("Whole = 1", "column 1: there is no field 'Whole'"),
        ("__class__ = 1", "column 1: there is no field '__class__'"),
        ("whole.bits = 1", "column 1: 'whole' is no relation that a filter may look into"),
        ("whole = null AND whole > null", "column 24: null is not > anything"),
        ("flag > false", "column 6: 'flag' has no order"),
        ("size >= small", "column 6: 'size' has no order"),
        ("key < x", "column 5: 'key' has no order"),
        ("data = 1", "column 6: values of 'data' cannot be written in a filter"),
        ("raw = x", "column 5: values of 'raw' cannot be written in a filter"),
        ("tags:a", "column 5: values of 'tags' cannot be written in a filter"),
        ("whole = (1 OR whole = 2)", "column 21: only values stand in these parentheses"),
        ("whole = 1*", "column 9: `*` stands for any characters in text only"),
        ("a AND whole", "column 7: 'whole' is a field: compare it"),
        ("whole.x", "column 1: 'whole' is a field: compare it"),
        ("older_then(3)", "column 1: there is no function 'older_then'; did you mean 'older_than'"),
        ("older_than()", "column 1: older_than(...) takes 1 to 2 arguments, not 0"),
        ("older_than(1, a, b)", "column 1: older_than(...) takes 1 to 2 arguments, not 3"),
        ("nothing(1)", "column 1: nothing(...) takes 0 arguments, not 1"),
        ("older_than(x)", "column 12: x is not a number"),
        ("older_than((1 OR 2))", "column 1: an argument of a function is one value"),
        ("older_than(1) = 3", "column 15: older_than(...) is a condition by itself"),
        ("flag > most(1)", "column 6: 'flag' has no order"),
    ],
)
def test_what_is_wrong_is_told(text: str, message: str) -> None:
    with pytest.raises(FilterError) as caught:
        condition(text)
    assert str(caught.value).startswith(message)


def test_long_names_and_values_are_not_repeated() -> None:
    for text in ("x" * 900, "whole = " + "9" * 900, "whole = " + "x" * 900, f"f{'x' * 900}(1)"):
        with pytest.raises(FilterError) as caught:
            condition(f"{text} = 1")
        assert len(str(caught.value)) < 250


def test_functions_are_conditions_and_values() -> None:
    found = condition('older_than(3, "days") whole > most(1, most(2, 3))')
    assert isinstance(found, AllOf)
    one, other = found.items
    assert isinstance(one, Invocation)
    assert one.arguments == (3, "days")
    assert isinstance(other.value, Invocation)
    assert other.value.result() == 3


def test_a_function_without_a_list_of_them() -> None:
    fields = filter_fields({}, {}, describer=Describer(), where="here")
    with pytest.raises(FilterError, match="this list declares none"):
        condition("f(1)", fields)
    with pytest.raises(FilterError, match="there are none"):
        condition("a = 1", fields)
    with pytest.raises(FilterError, match="and there is none"):
        condition("a", fields)


def test_a_word_is_bounded_by_the_fields_it_is_searched_in() -> None:
    names = {f"text_{number}": (f"text_{number}", str) for number in range(100)}
    fields = filter_fields(names, {}, describer=Describer(), where="here")
    assert condition(" ".join("a" * 10), fields) is not None
    with pytest.raises(FilterError, match=f"column 21: more than {MAX_FILTER_CONDITIONS}"):
        condition(" ".join("a" * 11), fields)


def test_what_was_read_is_remembered_for_its_list_alone() -> None:
    text = "whole = 1 AND label = remembered"
    assert condition(text) is condition(text)
    with pytest.raises(FilterError):
        condition_of(text, FilterFields())
    size = condition_of.cache_info().maxsize
    assert size is not None
    for number in range(size + 10):
        condition_of(f"whole = {number}", FIELDS)
    assert condition_of.cache_info().currsize == size


def test_the_parser_is_loaded_by_the_first_filter() -> None:
    program = """
import sys
from bali.resources.filter import FilterFields, condition_of
assert condition_of(" ", FilterFields()) is None
assert "lark" not in sys.modules
try:
    condition_of("a", FilterFields())
except ValueError:
    assert "lark" in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)
