"""The gRPC service, called as other services call it."""

from collections.abc import Iterator

import grpc
import pytest
from bali.testing import LiveServer
from google.protobuf.field_mask_pb2 import FieldMask

from services.rpc import user_pb2 as pb2
from services.rpc import user_pb2_grpc as pb2_grpc


@pytest.fixture
def stub(live: LiveServer) -> Iterator[pb2_grpc.UserServiceStub]:
    """A client of the service."""
    with grpc.insecure_channel(live.address) as channel:
        yield pb2_grpc.UserServiceStub(channel)


def create(stub: pb2_grpc.UserServiceStub, name: str) -> pb2.User:
    return stub.CreateUser(pb2.CreateUserRequest(user=pb2.User(name=name)))


def test_what_is_created_is_found(stub: pb2_grpc.UserServiceStub) -> None:
    created = create(stub, "ann")
    assert stub.GetUser(pb2.GetUserRequest(id=created.id)) == created


def test_a_list_is_filtered(stub: pb2_grpc.UserServiceStub) -> None:
    create(stub, "ann")
    create(stub, "bob")
    page = stub.ListUsers(pb2.ListUsersRequest(name="bob", with_total=True))
    assert ([item.name for item in page.items], page.total) == (["bob"], 1)


def test_an_update_changes_what_the_mask_says(stub: pb2_grpc.UserServiceStub) -> None:
    created = create(stub, "ann")
    changes = pb2.User(name="not meant", description="the first")
    updated = stub.UpdateUser(
        pb2.UpdateUserRequest(
            id=created.id,
            user=changes,
            update_mask=FieldMask(paths=["description"]),
        )
    )
    assert (updated.name, updated.description) == ("ann", "the first")


def test_it_is_switched_off_once(stub: pb2_grpc.UserServiceStub) -> None:
    request = pb2.DeactivateUserRequest(id=create(stub, "ann").id, reason="a test")
    assert stub.DeactivateUser(request).is_active is False
    with pytest.raises(grpc.RpcError) as caught:
        stub.DeactivateUser(request)
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION


def test_what_is_deleted_is_gone(stub: pb2_grpc.UserServiceStub) -> None:
    created = create(stub, "ann")
    stub.DeleteUser(pb2.DeleteUserRequest(id=created.id))
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetUser(pb2.GetUserRequest(id=created.id))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
