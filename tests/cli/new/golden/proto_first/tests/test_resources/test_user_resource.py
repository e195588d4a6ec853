"""The operations of the resource."""

from typing import Any

import pytest
from bali import AlreadyExists, FailedPrecondition, NotFound, ValidationFailed
from bali.testing import ServiceClient


def create(client: ServiceClient, name: str) -> Any:
    return client.call("users.create", {"user": {"name": name}})


def test_what_is_created_is_found(client: ServiceClient) -> None:
    created = create(client, "ann")
    assert client.call("users.get", {"id": created.id}) == created


def test_a_list_is_filtered(client: ServiceClient) -> None:
    create(client, "ann")
    create(client, "bob")
    page: Any = client.call("users.list", {"name": "bob"})
    assert [item.name for item in page.items] == ["bob"]


def test_an_update_changes_what_is_sent(client: ServiceClient) -> None:
    created = create(client, "ann")
    changes = {"id": created.id, "user": {"description": "the first"}}
    updated: Any = client.call("users.update", changes)
    assert (updated.name, updated.description) == ("ann", "the first")


def test_what_is_deleted_is_gone(client: ServiceClient) -> None:
    created = create(client, "ann")
    client.call("users.delete", {"id": created.id})
    with pytest.raises(NotFound):
        client.call("users.get", {"id": created.id})


def test_a_name_is_taken_once(client: ServiceClient) -> None:
    create(client, "ann")
    with pytest.raises(AlreadyExists):
        create(client, "ann")


def test_it_is_switched_off_once(client: ServiceClient) -> None:
    call = {"id": create(client, "ann").id, "reason": "a test"}
    deactivated: Any = client.call("users.deactivate", call)
    assert deactivated.is_active is False
    with pytest.raises(FailedPrecondition):
        client.call("users.deactivate", call)


def test_a_reason_is_needed(client: ServiceClient) -> None:
    call = {"id": create(client, "ann").id, "reason": ""}
    with pytest.raises(ValidationFailed):
        client.call("users.deactivate", call)
