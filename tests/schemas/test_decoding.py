from __future__ import annotations

import pytest

from bali.errors import InvalidArgument
from bali.schemas.decoding import decode_json


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b'{"a": [1, 2.5, true, null, "x"]}', {"a": [1, 2.5, True, None, "x"]}),
        (b' "\\ud83d\\ude00" ', "\N{GRINNING FACE}"),
        ('"ü"'.encode(), "ü"),
        (b'"\\\\ud800"', "\\ud800"),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b'["[[[[[[", "\\"[[[["]', ["[[[[[[", '"[[[[']),
    ],
)
def test_valid_documents_are_read(body: bytes, value: object) -> None:
    assert decode_json(body, max_depth=3) == value


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "MALFORMED_JSON"),
        (b"{", "MALFORMED_JSON"),
        (b'{"a": 1,}', "MALFORMED_JSON"),
        (b"{} {}", "MALFORMED_JSON"),
        (b"[NaN]", "MALFORMED_JSON"),
        (b"[-Infinity]", "MALFORMED_JSON"),
        (b"\xef\xbb\xbf{}", "MALFORMED_JSON"),
        (b'"\xff"', "MALFORMED_JSON"),
        (b'"\xed\xa0\x80"', "MALFORMED_JSON"),
        (b'"\\ud800"', "MALFORMED_JSON"),
        (b'{"\\udc00": 1}', "MALFORMED_JSON"),
        (b'"\\udc00\\ud800"', "MALFORMED_JSON"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "DUPLICATE_KEY"),
        (b'"a\tb"', "MALFORMED_JSON"),
        (b"'a'", "MALFORMED_JSON"),
        (b"1" * 5000, "MALFORMED_JSON"),
        (b'{"a": 1, "b": {"c": 1, "c": 2}}', "DUPLICATE_KEY"),
        (b"[[[[1]]]]", "TOO_DEEP"),
        (b'{"a":{"b":{"c":{}}}}', "TOO_DEEP"),
        (b"[" * 100_000, "TOO_DEEP"),
        (b'{"a":' * 100_000, "TOO_DEEP"),
    ],
)
def test_whatever_a_parser_might_read_differently_is_refused(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        decode_json(body, max_depth=3)
    assert caught.value.reason == reason
    caught.value.detail.encode()


def test_the_place_of_a_mistake_is_told() -> None:
    with pytest.raises(InvalidArgument) as caught:
        decode_json(b'{\n  "a": x\n}')
    assert "line 2 column 8" in caught.value.detail
    assert caught.value.metadata == {"line": "2", "column": "8"}
    with pytest.raises(InvalidArgument) as caught:
        decode_json(b'{\n  "\xc3\xbc": "\xff"}')
    assert "line 2 column 9" in caught.value.detail


def test_depth_is_that_of_nesting_not_of_brackets() -> None:
    assert decode_json(b"[[1],[2],[3],[4]]", max_depth=2) == [[1], [2], [3], [4]]
    assert decode_json(b"[[[1]]]", max_depth=3) == [[[1]]]
