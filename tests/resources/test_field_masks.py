from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from bali.resources.field_masks import bounded_mask


def reasons(paths: object) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(bounded_mask(3)).validate_python(paths)
    return [item["type"] for item in caught.value.errors()]


def test_a_mask_is_a_list_or_a_text() -> None:
    adapter = TypeAdapter(bounded_mask(3))
    for paths in ("a,b.c", ["a,b.c"], ["a", "b.c"]):
        assert adapter.validate_python(paths) == ["a", "b.c"]


@pytest.mark.parametrize("paths", [["a"] * 4, ["x" * 257], [".".join("x" * 33)]])
def test_it_has_bounds(paths: list[str]) -> None:
    assert reasons(paths) == ["too_long"]


def test_what_is_within_them_is_checked_further() -> None:
    seen: list[list[str]] = []

    def check(paths: list[str]) -> list[str]:
        seen.append(paths)
        return paths[:1]

    adapter = TypeAdapter(bounded_mask(3, check))
    assert adapter.validate_python("a,b") == ["a"]
    assert seen == [["a", "b"]]
