"""gRPC by hand: grpc.aio, protoc's stubs, an ORM session per call."""

import importlib
import os
import sys
from typing import Any

import grpc
import uvloop
from sqlalchemy import select

from benchmarks.services.table import User, new_sessions, utc_now

sys.path.insert(0, os.environ.get("BENCH_STUBS", "."))
pb2: Any = importlib.import_module("bench_pb2")
pb2_grpc: Any = importlib.import_module("bench_pb2_grpc")
sessions = new_sessions()
MAX_NAME = 50


def to_message(user: User) -> Any:
    """Return the message of a user."""
    message = pb2.User(id=user.id, is_active=user.is_active, username=user.username, age=user.age)
    message.created_time.FromDatetime(user.created_time)
    message.updated_time.FromDatetime(user.updated_time)
    return message


class BenchService(pb2_grpc.BenchServiceServicer):
    """The service."""

    async def GetUser(self, request: Any, context: Any) -> Any:
        """Return one user."""
        async with sessions() as session:
            user = await session.get(User, request.id)
        if user is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
        return to_message(user)  # type: ignore[arg-type]  # `abort` does not return

    async def ListUsers(self, request: Any, context: Any) -> Any:
        """Return one page of users."""
        del context
        size = request.page_size or 50
        async with sessions() as session:
            statement = select(User).order_by(User.id).limit(size + 1)
            users = list((await session.scalars(statement)).all())
        token = str(users[size - 1].id) if len(users) > size else ""
        items = [to_message(user) for user in users[:size]]
        return pb2.ListUsersResponse(items=items, next_page_token=token)

    async def CreateUser(self, request: Any, context: Any) -> Any:
        """Store a user."""
        given, now = request.user, utc_now()
        if not given.username or len(given.username) > MAX_NAME:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "username: 1 to 50 characters")
        user = User(
            created_time=now,
            updated_time=now,
            is_active=given.is_active if given.HasField("is_active") else True,
            username=given.username,
            age=given.age if given.HasField("age") else None,
        )
        async with sessions() as session:
            session.add(user)
            await session.commit()
        return to_message(user)

    async def UpdateUser(self, request: Any, context: Any) -> Any:
        """Change what is present."""
        given = request.user
        async with sessions() as session:
            user = await session.get(User, request.id)
            if user is None:
                await context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
            for name in ("username", "age", "is_active"):
                if given.HasField(name):
                    setattr(user, name, getattr(given, name))
            user.updated_time = utc_now()  # type: ignore[union-attr]  # `abort` does not return
            await session.commit()
        return to_message(user)  # type: ignore[arg-type]  # same

    async def PingUsers(self, request: Any, context: Any) -> Any:
        """Say the same each time."""
        del request, context
        return pb2.Pong(text="pong")


async def start(port: int) -> grpc.aio.Server:
    """Start a server."""
    server = grpc.aio.server()
    pb2_grpc.add_BenchServiceServicer_to_server(BenchService(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server


async def main(port: int) -> None:
    """Serve until killed."""
    server = await start(port)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[2])))
