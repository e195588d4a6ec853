from __future__ import annotations

import pytest

from bali.errors import UnsupportedMedia
from bali.rest.decoding import check_content_type


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON; charset=UTF-8",
        "application/merge-patch+json",
        'application/json;charset="utf-8"',
    ],
)
def test_json_content_types_are_accepted(content_type: str) -> None:
    check_content_type(content_type)


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/x-www-form-urlencoded", "text/json+json", "json"],
)
def test_other_content_types_are_refused(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMedia):
        check_content_type(content_type)


def test_other_charsets_are_refused() -> None:
    with pytest.raises(UnsupportedMedia, match="latin-1"):
        check_content_type("application/json; charset=latin-1")
