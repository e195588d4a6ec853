"""The operations of the resource, with a fake of the user service."""

from decimal import Decimal
from typing import Any

import pytest
from bali import FailedPrecondition, NotFound, ValidationFailed
from bali.testing import ServiceClient

from clients.fakes import AsyncFakeUserClient


@pytest.fixture(autouse=True)
def users(monkeypatch: pytest.MonkeyPatch) -> AsyncFakeUserClient:
    """A user service that knows Ann alone, as number 1."""
    fake = AsyncFakeUserClient()
    known = fake.schemas.User(id=1, name="ann")
    fake.respond("get_user", lambda request: known if request.id == 1 else NotFound("no such user"))
    monkeypatch.setattr("resources.order.users", fake)
    return fake


def place(client: ServiceClient, user_id: int = 1) -> Any:
    return client.call("orders.place", {"user_id": user_id, "item": "tea", "price": "2.50"})


def test_an_order_keeps_the_name_of_its_user(
    client: ServiceClient, users: AsyncFakeUserClient
) -> None:
    order = place(client)
    assert (order.user_name, order.item, order.price) == ("ann", "tea", Decimal("2.50"))
    assert [call.request.id for call in users.calls_of("get_user")] == [1]
    assert client.call("orders.get", {"id": order.id}) == order


def test_an_unknown_user_cannot_order(client: ServiceClient) -> None:
    with pytest.raises(NotFound, match="no such user"):
        place(client, user_id=2)
    page: Any = client.call("orders.list", {})
    assert page.items == []


def test_orders_are_filtered_by_user(client: ServiceClient) -> None:
    order = place(client)
    page: Any = client.call("orders.list", {"user_id": 1})
    assert [item.id for item in page.items] == [order.id]
    none: Any = client.call("orders.list", {"user_id": 2})
    assert none.items == []


def test_it_is_cancelled_once(client: ServiceClient) -> None:
    call = {"id": place(client).id, "reason": "a test"}
    cancelled: Any = client.call("orders.cancel", call)
    assert cancelled.is_active is False
    with pytest.raises(FailedPrecondition):
        client.call("orders.cancel", call)


def test_a_price_is_above_nothing(client: ServiceClient) -> None:
    with pytest.raises(ValidationFailed):
        client.call("orders.place", {"user_id": 1, "item": "tea", "price": "0"})
