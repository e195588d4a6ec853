from __future__ import annotations

import pytest

from bali.errors import InvalidArgument
from bali.operations.pages import decode_place, encode_place


def test_a_token_leads_back_to_its_place() -> None:
    token = encode_place(2**40, "ann", b"secret")
    assert decode_place(token, "ann", b"secret") == 2**40


@pytest.mark.parametrize("length", [0, 1, 10, 20])
def test_a_part_of_a_token_is_none(length: int) -> None:
    with pytest.raises(InvalidArgument):
        decode_place(encode_place(17, "ann", b"secret")[:length], "ann", b"secret")


@pytest.mark.parametrize(("owner", "secret"), [("bob", b"secret"), ("ann", b"other")])
def test_a_token_of_others_is_none(owner: str, secret: bytes) -> None:
    with pytest.raises(InvalidArgument):
        decode_place(encode_place(17, "ann", b"secret"), owner, secret)
