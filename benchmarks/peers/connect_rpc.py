"""connectrpc: protoc's messages, an ORM session per call, served by uvicorn over HTTP/1.1."""

import datetime
import importlib
import os
import sys
from typing import Any

import uvicorn
from connectrpc.code import Code
from connectrpc.compat import google_protobuf_codecs
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.server import ConnectASGIApplication, Endpoint
from sqlalchemy import DateTime, String, select
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

URL = os.environ.get("DATABASE_URL", "postgresql://postgres@127.0.0.1/test")
SERVICE = "bench.BenchService"
engine = create_async_engine(
    URL.replace("postgresql://", "postgresql+asyncpg://"), pool_size=10, max_overflow=0
)
sessions = async_sessionmaker(engine, expire_on_commit=False)
pb2: Any = importlib.import_module("bench_pb2")


class Base(DeclarativeBase):
    """The base of the models."""


class User(Base):
    """The table."""

    __tablename__ = "bench_users"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_time: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))
    updated_time: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))
    is_active: Mapped[bool]
    username: Mapped[str] = mapped_column(String(50))
    age: Mapped[int | None]


def to_message(user: User) -> Any:
    """Return the message of a user."""
    message = pb2.User(id=user.id, is_active=user.is_active, username=user.username, age=user.age)
    message.created_time.FromDatetime(user.created_time)
    message.updated_time.FromDatetime(user.updated_time)
    return message


async def get_user(request: Any, context: Any) -> Any:
    """Return one user."""
    del context
    async with sessions() as session:
        user = await session.get(User, request.id)
    if user is None:
        raise ConnectError(Code.NOT_FOUND, "no such user")
    return to_message(user)


async def list_users(request: Any, context: Any) -> Any:
    """Return one page of users."""
    del context
    async with sessions() as session:
        users = await session.scalars(select(User).order_by(User.id).limit(request.page_size))
        return pb2.ListUsersResponse(items=map(to_message, users))


def endpoint(name: str, request: Any, response: Any, function: Any) -> Any:
    """Return what generated code registers for one method."""
    info = MethodInfo(
        name=name, service_name=SERVICE, input=request, output=response,
        idempotency_level=IdempotencyLevel.NO_SIDE_EFFECTS, stream_type=StreamType.UNARY,
    )  # fmt: skip
    return Endpoint.unary(info, function)


endpoints = {
    f"/{SERVICE}/GetUser": endpoint("GetUser", pb2.GetUserRequest, pb2.User, get_user),
    f"/{SERVICE}/ListUsers": endpoint(
        "ListUsers", pb2.ListUsersRequest, pb2.ListUsersResponse, list_users
    ),
}


class Application(ConnectASGIApplication):
    """What generated code derives for one service."""

    path = f"/{SERVICE}"


app = Application(service=None, endpoints=lambda _: endpoints, codecs=google_protobuf_codecs())

if __name__ == "__main__" and "--check" not in sys.argv:
    uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="warning",
                access_log=False)  # fmt: skip
