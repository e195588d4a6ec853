from __future__ import annotations

import base64
import datetime
import decimal
import hashlib
import hmac
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bali.database.ordering import Term, ordering_of
from bali.database.tokens import decode_token, encode_token
from bali.errors import Code, InvalidArgument
from tests.database.catalog import Sample, Size

SECRET = b"secret"
TERMS = ordering_of(Sample, "moment desc, price, size, key, day, real, label")
ITEM = Sample(
    id=7,
    moment=datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC),
    price=decimal.Decimal("1.500"),
    size=Size.LARGE,
    key=uuid.UUID(int=5),
    day=None,
    real=0.1,
    label="ü",
)


def decoded(token: str, terms: tuple[Term, ...] = TERMS, **filters: Any) -> Any:
    return decode_token(token, terms, "id", filters, SECRET)


def encoded(item: Any = ITEM, terms: tuple[Term, ...] = TERMS, **filters: Any) -> str:
    return encode_token(terms, item, "id", filters, SECRET)


def reason_of(token: str, **filters: Any) -> str:
    with pytest.raises(InvalidArgument) as caught:
        decoded(token, **filters)
    assert caught.value.code is Code.INVALID_ARGUMENT
    return caught.value.reason


def test_a_token_holds_the_sort_values() -> None:
    assert decoded(encoded()).values == (
        ITEM.moment, ITEM.price, ITEM.size, ITEM.key, None, 0.1, "ü", 7,
    )  # fmt: skip


def test_a_token_can_stand_in_an_address() -> None:
    token = encoded()
    assert token == base64.urlsafe_b64encode(
        base64.urlsafe_b64decode(token + "==")
    ).decode().rstrip("=")


def test_another_ordering_is_a_mismatch() -> None:
    with pytest.raises(InvalidArgument) as caught:
        decoded(encoded(), ordering_of(Sample, "moment, price"))
    assert caught.value.reason == "PAGE_TOKEN_MISMATCH"


def test_other_filters_are_a_mismatch() -> None:
    token = encoded(label__gte="a", whole=1)
    assert decoded(token, whole=1, label__gte="a").values is not None
    assert reason_of(token, whole=2, label__gte="a") == "PAGE_TOKEN_MISMATCH"
    assert reason_of(token) == "PAGE_TOKEN_MISMATCH"


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_token_is_refused(position: int, change: int) -> None:
    raw = bytearray(base64.urlsafe_b64decode(encoded() + "=="))
    raw[position % len(raw)] ^= change
    assert reason_of(base64.urlsafe_b64encode(bytes(raw)).decode()) == "INVALID_PAGE_TOKEN"


@given(st.text(max_size=100))
def test_what_is_no_token_is_refused(token: str) -> None:
    assert reason_of(token) == "INVALID_PAGE_TOKEN"


def test_a_truncated_token_is_refused() -> None:
    token = encoded()
    for length in range(len(token)):
        assert reason_of(token[:length]) == "INVALID_PAGE_TOKEN"


def test_a_token_of_another_secret_is_refused() -> None:
    token = encode_token(TERMS, ITEM, "id", {}, b"another")
    assert reason_of(token) == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize("content", [{"v": [1]}, {"v": ["x"] * 8}, {"k": "no number"}])
def test_a_token_of_another_version_is_refused(content: dict[str, Any]) -> None:
    former = json.loads(base64.urlsafe_b64decode(encoded() + "==")[16:])
    payload = json.dumps({"a": former["a"], **content}).encode()
    signature = hmac.new(SECRET, payload, hashlib.sha256).digest()[:16]
    assert reason_of(base64.urlsafe_b64encode(signature + payload).decode()) == "INVALID_PAGE_TOKEN"


def test_long_values_are_left_out() -> None:
    long = Sample(id=9, label="x" * 50, note="y" * 100_000)
    terms = ordering_of(Sample, "note")
    token = encoded(long, terms)
    place = decoded(token, terms)
    assert len(token) < 300
    assert (place.values, place.key) == (None, 9)
