"""REST at the limit: a Starlette route, the bare driver, pydantic-core's encoder."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from pydantic_core import from_json, to_json
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.services.table import DATABASE_URL, POOL_SIZE, utc_now

COLUMNS = "id, created_time, updated_time, is_active, username, age"


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Hold the pool."""
    async with asyncpg.create_pool(DATABASE_URL, min_size=POOL_SIZE, max_size=POOL_SIZE) as pool:
        app.state.pool = pool
        yield


async def get_user(request: Request) -> Response:
    """Return one user."""
    key = int(request.path_params["user_id"])
    row = await request.app.state.pool.fetchrow(
        f"SELECT {COLUMNS} FROM bench_users WHERE id = $1",
        key,
    )
    if row is None:
        return Response(status_code=404)
    return Response(to_json(dict(row)), media_type="application/json")


async def list_users(request: Request) -> Response:
    """Return one page of users."""
    size = int(request.query_params.get("page_size", "50"))
    rows = await request.app.state.pool.fetch(
        f"SELECT {COLUMNS} FROM bench_users ORDER BY id LIMIT $1",
        size + 1,
    )
    token = str(rows[size - 1]["id"]) if len(rows) > size else ""
    page = {"items": [dict(row) for row in rows[:size]], "next_page_token": token, "total": None}
    return Response(to_json(page), media_type="application/json")


async def create_user(request: Request) -> Response:
    """Store a user."""
    given, now = from_json(await request.body()), utc_now()
    row = await request.app.state.pool.fetchrow(
        "INSERT INTO bench_users (created_time, updated_time, is_active, username, age) "
        f"VALUES ($1, $1, $2, $3, $4) RETURNING {COLUMNS}",
        now, given.get("is_active", True), given["username"], given.get("age"),
    )  # fmt: skip
    return Response(to_json(dict(row)), 201, media_type="application/json")


async def update_user(request: Request) -> Response:
    """Change the age of a user."""
    row = await request.app.state.pool.fetchrow(
        "UPDATE bench_users SET age = $2, updated_time = $3 WHERE id = $1 "
        f"RETURNING {COLUMNS}",
        int(request.path_params["user_id"]), from_json(await request.body())["age"], utc_now(),
    )  # fmt: skip
    if row is None:
        return Response(status_code=404)
    return Response(to_json(dict(row)), media_type="application/json")


async def ping(request: Request) -> Response:
    """Say the same each time."""
    del request
    return Response(to_json({"text": "pong"}), media_type="application/json")


app = Starlette(
    routes=[
        Route("/users", list_users),
        Route("/users", create_user, methods=["POST"]),
        Route("/users/ping", ping),
        Route("/users/{user_id:int}", get_user),
        Route("/users/{user_id:int}", update_user, methods=["PATCH"]),
    ],
    lifespan=lifespan,
)

if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="warning",
                access_log=False)  # fmt: skip
