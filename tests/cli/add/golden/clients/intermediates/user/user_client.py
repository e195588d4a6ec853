"""Clients of the services in user/user.proto.

Written by `bali add`; do not edit. The next `bali update` writes it anew.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, ClassVar, Unpack

from bali.clients import (
    UNSET,
    AsyncClient,
    CallOptions,
    Client,
    ClientOptions,
    Method,
    each_item,
    each_item_async,
)

from ..._utils import options_for
from . import user_schema as schemas

__all__ = [
    "AsyncUserClient",
    "UserClient",
]

_USER_LIST_USERS = Method(
    name="list_users",
    path="/user.UserService/ListUsers",
    request=schemas.ListUsersRequest,
    response=schemas.ListUsersResponse,
    is_idempotent=True,
)
_USER_GET_USER = Method(
    name="get_user",
    path="/user.UserService/GetUser",
    request=schemas.GetUserRequest,
    response=schemas.User,
    is_idempotent=True,
)
_USER_CREATE_USER = Method(
    name="create_user",
    path="/user.UserService/CreateUser",
    request=schemas.CreateUserRequest,
    response=schemas.User,
)
_USER_UPDATE_USER = Method(
    name="update_user",
    path="/user.UserService/UpdateUser",
    request=schemas.UpdateUserRequest,
    response=schemas.User,
)
_USER_DELETE_USER = Method(
    name="delete_user",
    path="/user.UserService/DeleteUser",
    request=schemas.DeleteUserRequest,
    response=None,
)
_USER_WATCH_USERS = Method(
    name="watch_users",
    path="/user.UserService/WatchUsers",
    request=schemas.WatchUsersRequest,
    response=schemas.User,
    is_server_streaming=True,
)
_USER_IMPORT_USERS = Method(
    name="import_users",
    path="/user.UserService/ImportUsers",
    request=schemas.User,
    response=schemas.ImportUsersResponse,
    is_client_streaming=True,
)
_USER_ECHO_USERS = Method(
    name="echo_users",
    path="/user.UserService/EchoUsers",
    request=schemas.User,
    response=schemas.User,
    is_client_streaming=True,
    is_server_streaming=True,
)
_USER_RESET = Method(
    name="reset",
    path="/user.UserService/Reset",
    request=None,
    response=None,
)

#: The methods of user.UserService by their names here.
USER_METHODS: Mapping[str, Method] = {
    "list_users": _USER_LIST_USERS,
    "get_users": _USER_LIST_USERS,
    "get_user": _USER_GET_USER,
    "create_user": _USER_CREATE_USER,
    "update_user": _USER_UPDATE_USER,
    "delete_user": _USER_DELETE_USER,
    "watch_users": _USER_WATCH_USERS,
    "import_users": _USER_IMPORT_USERS,
    "echo_users": _USER_ECHO_USERS,
    "reset": _USER_RESET,
}


class UserClient(Client):
    """Users and what they may do."""

    service_name = "user"
    schemas = schemas
    methods: ClassVar[Mapping[str, Method]] = USER_METHODS

    @classmethod
    def default_options(cls) -> ClientOptions:
        """Return what `_config.py` and the environment say."""
        return options_for(cls.service_name)

    def list_users(
        self,
        request: schemas.ListUsersRequest | Mapping[str, Any] | None = None,
        *,
        page_size: int = UNSET,
        page_token: str = UNSET,
        username: str | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> schemas.ListUsersResponse:
        """Return one page of users."""
        given = {
            "page_size": page_size,
            "page_token": page_token,
            "username": username,
        }
        answer: schemas.ListUsersResponse = self._unary(
            _USER_LIST_USERS, request, given, options
        )
        return answer

    get_users = list_users

    def iter_users(
        self,
        request: schemas.ListUsersRequest | Mapping[str, Any] | None = None,
        *,
        page_size: int = UNSET,
        page_token: str = UNSET,
        username: str | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> Iterator[schemas.User]:
        """Give the items of every page of `list_users`, one after the other."""
        given = {
            "page_size": page_size,
            "page_token": page_token,
            "username": username,
        }
        return each_item(
            self,
            _USER_LIST_USERS,
            request,
            given,
            options,
            field="items",
        )

    def get_user(
        self,
        request: schemas.GetUserRequest | Mapping[str, Any] | None = None,
        *,
        id: int = UNSET,
        **options: Unpack[CallOptions],
    ) -> schemas.User:
        """Return one user."""
        given = {
            "id": id,
        }
        answer: schemas.User = self._unary(
            _USER_GET_USER, request, given, options
        )
        return answer

    def create_user(
        self,
        request: schemas.CreateUserRequest | Mapping[str, Any] | None = None,
        *,
        user: schemas.User | None = UNSET,
        request_id: str = UNSET,
        **options: Unpack[CallOptions],
    ) -> schemas.User:
        """Store a new user."""
        given = {
            "user": user,
            "request_id": request_id,
        }
        answer: schemas.User = self._unary(
            _USER_CREATE_USER, request, given, options
        )
        return answer

    def update_user(
        self,
        request: schemas.UpdateUserRequest | Mapping[str, Any] | None = None,
        *,
        id: int = UNSET,
        user: schemas.User | None = UNSET,
        update_mask: list[str] | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> schemas.User:
        """Change a user."""
        given = {
            "id": id,
            "user": user,
            "update_mask": update_mask,
        }
        answer: schemas.User = self._unary(
            _USER_UPDATE_USER, request, given, options
        )
        return answer

    def delete_user(
        self,
        request: schemas.DeleteUserRequest | Mapping[str, Any] | None = None,
        *,
        id: int = UNSET,
        **options: Unpack[CallOptions],
    ) -> None:
        """Remove a user."""
        given = {
            "id": id,
        }
        answer: None = self._unary(
            _USER_DELETE_USER, request, given, options
        )
        return answer

    def watch_users(
        self,
        request: schemas.WatchUsersRequest | Mapping[str, Any] | None = None,
        *,
        count: int = UNSET,
        **options: Unpack[CallOptions],
    ) -> Iterator[schemas.User]:
        """Tell of users as they come."""
        given = {
            "count": count,
        }
        return self._server_stream(_USER_WATCH_USERS, request, given, options)

    def import_users(
        self,
        requests: Iterable[schemas.User],
        **options: Unpack[CallOptions],
    ) -> schemas.ImportUsersResponse:
        """Store many users."""
        answer: schemas.ImportUsersResponse = self._client_stream(
            _USER_IMPORT_USERS, requests, options
        )
        return answer

    def echo_users(
        self,
        requests: Iterable[schemas.User],
        **options: Unpack[CallOptions],
    ) -> Iterator[schemas.User]:
        """Answer every user with itself."""
        return self._both_stream(_USER_ECHO_USERS, requests, options)

    def reset(
        self,
        **options: Unpack[CallOptions],
    ) -> None:
        """Forget everything."""
        answer: None = self._unary(
            _USER_RESET, None, {}, options
        )
        return answer


class AsyncUserClient(AsyncClient):
    """Users and what they may do."""

    service_name = "user"
    schemas = schemas
    methods: ClassVar[Mapping[str, Method]] = USER_METHODS

    @classmethod
    def default_options(cls) -> ClientOptions:
        """Return what `_config.py` and the environment say."""
        return options_for(cls.service_name)

    async def list_users(
        self,
        request: schemas.ListUsersRequest | Mapping[str, Any] | None = None,
        *,
        page_size: int = UNSET,
        page_token: str = UNSET,
        username: str | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> schemas.ListUsersResponse:
        """Return one page of users."""
        given = {
            "page_size": page_size,
            "page_token": page_token,
            "username": username,
        }
        answer: schemas.ListUsersResponse = await self._unary(
            _USER_LIST_USERS, request, given, options
        )
        return answer

    get_users = list_users

    def iter_users(
        self,
        request: schemas.ListUsersRequest | Mapping[str, Any] | None = None,
        *,
        page_size: int = UNSET,
        page_token: str = UNSET,
        username: str | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> AsyncIterator[schemas.User]:
        """Give the items of every page of `list_users`, one after the other."""
        given = {
            "page_size": page_size,
            "page_token": page_token,
            "username": username,
        }
        return each_item_async(
            self,
            _USER_LIST_USERS,
            request,
            given,
            options,
            field="items",
        )

    async def get_user(
        self,
        request: schemas.GetUserRequest | Mapping[str, Any] | None = None,
        *,
        id: int = UNSET,
        **options: Unpack[CallOptions],
    ) -> schemas.User:
        """Return one user."""
        given = {
            "id": id,
        }
        answer: schemas.User = await self._unary(
            _USER_GET_USER, request, given, options
        )
        return answer

    async def create_user(
        self,
        request: schemas.CreateUserRequest | Mapping[str, Any] | None = None,
        *,
        user: schemas.User | None = UNSET,
        request_id: str = UNSET,
        **options: Unpack[CallOptions],
    ) -> schemas.User:
        """Store a new user."""
        given = {
            "user": user,
            "request_id": request_id,
        }
        answer: schemas.User = await self._unary(
            _USER_CREATE_USER, request, given, options
        )
        return answer

    async def update_user(
        self,
        request: schemas.UpdateUserRequest | Mapping[str, Any] | None = None,
        *,
        id: int = UNSET,
        user: schemas.User | None = UNSET,
        update_mask: list[str] | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> schemas.User:
        """Change a user."""
        given = {
            "id": id,
            "user": user,
            "update_mask": update_mask,
        }
        answer: schemas.User = await self._unary(
            _USER_UPDATE_USER, request, given, options
        )
        return answer

    async def delete_user(
        self,
        request: schemas.DeleteUserRequest | Mapping[str, Any] | None = None,
        *,
        id: int = UNSET,
        **options: Unpack[CallOptions],
    ) -> None:
        """Remove a user."""
        given = {
            "id": id,
        }
        answer: None = await self._unary(
            _USER_DELETE_USER, request, given, options
        )
        return answer

    def watch_users(
        self,
        request: schemas.WatchUsersRequest | Mapping[str, Any] | None = None,
        *,
        count: int = UNSET,
        **options: Unpack[CallOptions],
    ) -> AsyncIterator[schemas.User]:
        """Tell of users as they come."""
        given = {
            "count": count,
        }
        return self._server_stream(_USER_WATCH_USERS, request, given, options)

    async def import_users(
        self,
        requests: AsyncIterable[schemas.User] | Iterable[schemas.User],
        **options: Unpack[CallOptions],
    ) -> schemas.ImportUsersResponse:
        """Store many users."""
        answer: schemas.ImportUsersResponse = await self._client_stream(
            _USER_IMPORT_USERS, requests, options
        )
        return answer

    def echo_users(
        self,
        requests: AsyncIterable[schemas.User] | Iterable[schemas.User],
        **options: Unpack[CallOptions],
    ) -> AsyncIterator[schemas.User]:
        """Answer every user with itself."""
        return self._both_stream(_USER_ECHO_USERS, requests, options)

    async def reset(
        self,
        **options: Unpack[CallOptions],
    ) -> None:
        """Forget everything."""
        answer: None = await self._unary(
            _USER_RESET, None, {}, options
        )
        return answer
