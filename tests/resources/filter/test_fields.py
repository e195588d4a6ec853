"""Functions that no filter could call are refused at start."""

from __future__ import annotations

from typing import Any

import pytest

from bali.errors import ConfigurationError
from bali.resources.filter import matches
from tests.resources.filter.reading import condition, fields_of


async def awaited() -> bool:
    return True


def takes_a_list(values: list[int]) -> bool:
    return bool(values)


def by_keyword(*, size: int) -> bool:
    return size > 0


def unknown(size: Any) -> bool:
    return bool(size)


@pytest.mark.parametrize(
    ("functions", "message"),
    [
        (["f"], "it maps names to functions"),
        ({"a b": len}, "a function is called by a name"),
        ({3: len}, "a function is called by a name"),
        ({"f": 3}, "3 is no function"),
        ({"f": awaited}, "is no function, or one to be awaited"),
        ({"f": takes_a_list}, "values is list[int]; arguments are single values"),
        ({"f": unknown}, "arguments are single values"),
        ({"f": by_keyword}, "size cannot be given by position"),
    ],
)
def test_functions_that_no_filter_can_call(functions: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        fields_of(functions)
    assert str(caught.value).startswith("here: ")
    assert message in str(caught.value)


def test_arguments_are_text_unless_annotated() -> None:
    fields = fields_of({"is_text": lambda value, size=3: (value, size) == ("12", 3)})
    assert matches(condition("is_text(12)", fields), {})
