"""The messages of user/user.proto as pydantic models.

Written by `bali add`; do not edit. The next `bali update` writes it anew.
"""

from __future__ import annotations

import datetime
import decimal
from typing import ClassVar, Literal, Self

from bali.clients import OpenEnum, Schema, check_one_of
from google.protobuf.message import Message
from pydantic import Field, model_validator

from ..common import types_schema as common_types_schema
from . import user_pb2

__all__ = [
    "CreateUserRequest",
    "DeleteUserRequest",
    "GetUserRequest",
    "ImportUsersResponse",
    "ListUsersRequest",
    "ListUsersResponse",
    "Size",
    "UpdateUserRequest",
    "User",
    "UserPhone",
    "UserPhoneKind",
    "WatchUsersRequest",
]


class Size(OpenEnum):
    """How large somebody is."""

    UNSPECIFIED = 0
    SMALL = 1
    LARGE = 2


class UserPhoneKind(OpenEnum):
    """One of a set of values."""

    UNSPECIFIED = 0
    MOBILE = 1


class User(Schema):
    """Somebody with an account."""

    message_type: ClassVar[type[Message]] = user_pb2.User

    id: int = 0
    #: The name to sign in with.
    username: str = ""
    age: int | None = None
    created_time: datetime.datetime | None = None
    balance: decimal.Decimal | None = None
    size: Size = Size.UNSPECIFIED
    tags: list[str] = Field(default_factory=list)
    scores: dict[str, int] = Field(default_factory=dict)
    address: common_types_schema.Address | None = None
    avatar: bytes = b""
    is_active: bool = False
    former_addresses: list[common_types_schema.Address] = Field(default_factory=list)
    email: str | None = None
    phone: UserPhone | None = None

    @property
    def contact(self) -> Literal["email", "phone", None]:
        """Which of its fields is set, None for none."""
        if self.email is not None:
            return "email"
        if self.phone is not None:
            return "phone"
        return None

    @model_validator(mode="after")
    def check_contact_is_one(self) -> Self:
        """Refuse more than one field of contact."""
        return check_one_of(self, "contact", ("email", "phone"))


class UserPhone(Schema):
    """A telephone."""

    message_type: ClassVar[type[Message]] = user_pb2.User.Phone

    number: str = ""
    kind: UserPhoneKind = UserPhoneKind.UNSPECIFIED


class ListUsersRequest(Schema):
    """The message ListUsersRequest."""

    message_type: ClassVar[type[Message]] = user_pb2.ListUsersRequest

    page_size: int = 0
    page_token: str = ""
    username: str | None = None


class ListUsersResponse(Schema):
    """The message ListUsersResponse."""

    message_type: ClassVar[type[Message]] = user_pb2.ListUsersResponse

    items: list[User] = Field(default_factory=list)
    next_page_token: str = ""
    total: int | None = None


class GetUserRequest(Schema):
    """The message GetUserRequest."""

    message_type: ClassVar[type[Message]] = user_pb2.GetUserRequest

    id: int = 0


class CreateUserRequest(Schema):
    """The message CreateUserRequest."""

    message_type: ClassVar[type[Message]] = user_pb2.CreateUserRequest

    user: User | None = None
    request_id: str = ""


class UpdateUserRequest(Schema):
    """The message UpdateUserRequest."""

    message_type: ClassVar[type[Message]] = user_pb2.UpdateUserRequest

    id: int = 0
    user: User | None = None
    update_mask: list[str] | None = None


class DeleteUserRequest(Schema):
    """The message DeleteUserRequest."""

    message_type: ClassVar[type[Message]] = user_pb2.DeleteUserRequest

    id: int = 0


class WatchUsersRequest(Schema):
    """The message WatchUsersRequest."""

    message_type: ClassVar[type[Message]] = user_pb2.WatchUsersRequest

    count: int = 0


class ImportUsersResponse(Schema):
    """The message ImportUsersResponse."""

    message_type: ClassVar[type[Message]] = user_pb2.ImportUsersResponse

    count: int = 0
