"""Bearer tokens: who is anonymous, who is known, and who is refused."""

import pytest

from bali.auth import BearerAuthenticator, StaticTokens, bearer_token
from bali.errors import Unauthenticated
from bali.resources import Context, Principal


def with_header(value: str | bytes) -> Context:
    return Context(metadata={"authorization": value})


async def test_a_call_without_a_token_is_anonymous() -> None:
    assert await StaticTokens({"t": "ann"}).authenticate(Context()) is None


@pytest.mark.parametrize("header", ["Bearer t", "bearer t", "BEARER   t ", b"Bearer t"])
async def test_a_known_token_gives_its_principal(header: str | bytes) -> None:
    principal = await StaticTokens({"t": "ann"}).authenticate(with_header(header))
    assert principal == Principal(id="ann")


@pytest.mark.parametrize("header", ["t", "Basic dDp0", "Bearer", "Bearer ", "Bearer a b"])
def test_another_scheme_or_no_token_is_refused(header: str) -> None:
    with pytest.raises(Unauthenticated) as caught:
        bearer_token(with_header(header))
    assert caught.value.reason == "BAD_CREDENTIALS"


async def test_an_unknown_token_is_refused_even_where_anybody_may_call() -> None:
    with pytest.raises(Unauthenticated):
        await StaticTokens({"t": "ann"}).authenticate(with_header("Bearer other"))


async def test_verify_may_be_a_coroutine() -> None:
    async def verify(token: str) -> Principal | None:
        return Principal(id=token, scopes=frozenset({"read"})) if token == "x" else None

    authenticator = BearerAuthenticator(verify)
    principal = await authenticator.authenticate(with_header("Bearer x"))
    assert principal is not None
    assert principal.scopes == {"read"}
