"""gRPC at the limit: grpc.aio, the bare driver, messages filled by hand."""

import datetime
import importlib
import os
import sys
from typing import Any

import asyncpg
import grpc
import uvloop

from benchmarks.services.table import DATABASE_URL, POOL_SIZE, utc_now

sys.path.insert(0, os.environ.get("BENCH_STUBS", "."))
pb2: Any = importlib.import_module("bench_pb2")
pb2_grpc: Any = importlib.import_module("bench_pb2_grpc")

COLUMNS = "id, created_time, updated_time, is_active, username, age"
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
DAY_SECONDS = 86400


def fill(message: Any, row: Any) -> Any:
    """Fill the message of a user from a row."""
    message.id, message.is_active, message.username = row[0], row[3], row[4]
    if row[5] is not None:
        message.age = row[5]
    for target, value in ((message.created_time, row[1]), (message.updated_time, row[2])):
        span = value - EPOCH
        target.seconds = span.days * DAY_SECONDS + span.seconds
        target.nanos = span.microseconds * 1000
    return message


class BenchService(pb2_grpc.BenchServiceServicer):
    """The service."""

    def __init__(self, pool: Any) -> None:
        self.pool = pool

    async def GetUser(self, request: Any, context: Any) -> Any:
        """Return one user."""
        row = await self.pool.fetchrow(
            f"SELECT {COLUMNS} FROM bench_users WHERE id = $1",
            request.id,
        )
        if row is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
        return fill(pb2.User(), row)

    async def ListUsers(self, request: Any, context: Any) -> Any:
        """Return one page of users."""
        del context
        size = request.page_size or 50
        rows = await self.pool.fetch(
            f"SELECT {COLUMNS} FROM bench_users ORDER BY id LIMIT $1",
            size + 1,
        )
        page = pb2.ListUsersResponse()
        for row in rows[:size]:
            fill(page.items.add(), row)
        if len(rows) > size:
            page.next_page_token = str(rows[size - 1][0])
        return page

    async def CreateUser(self, request: Any, context: Any) -> Any:
        """Store a user."""
        del context
        given = request.user
        row = await self.pool.fetchrow(
            "INSERT INTO bench_users (created_time, updated_time, is_active, username, age) "
            f"VALUES ($1, $1, $2, $3, $4) RETURNING {COLUMNS}",
            utc_now(), given.is_active if given.HasField("is_active") else True, given.username,
            given.age if given.HasField("age") else None,
        )  # fmt: skip
        return fill(pb2.User(), row)

    async def UpdateUser(self, request: Any, context: Any) -> Any:
        """Change the age of a user."""
        row = await self.pool.fetchrow(
            "UPDATE bench_users SET age = $2, updated_time = $3 WHERE id = $1 "
            f"RETURNING {COLUMNS}",
            request.id, request.user.age, utc_now(),
        )  # fmt: skip
        if row is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
        return fill(pb2.User(), row)

    async def PingUsers(self, request: Any, context: Any) -> Any:
        """Say the same each time."""
        del request, context
        return pb2.Pong(text="pong")


async def main(port: int) -> None:
    """Serve until killed."""
    async with asyncpg.create_pool(DATABASE_URL, min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        server = grpc.aio.server()
        pb2_grpc.add_BenchServiceServicer_to_server(BenchService(pool), server)
        server.add_insecure_port(f"127.0.0.1:{port}")
        await server.start()
        await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[2])))
