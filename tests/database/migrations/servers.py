"""Databases of one test's own, on a server that a fixture has found."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import create_async_engine

from bali.database.engines import driver_url

__all__ = ["own_database"]


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """Make an empty database beside the one of an address, give its address, drop it."""
    name = f"bali_test_{secrets.token_hex(6)}"
    force = " WITH (FORCE)" if server.startswith("postgresql") else ""
    asyncio.run(_execute(server, f"CREATE DATABASE {name}"))
    try:
        yield urlsplit(server)._replace(path=f"/{name}").geturl()
    finally:
        asyncio.run(_execute(server, f"DROP DATABASE {name}{force}"))


async def _execute(server: str, statement: str) -> None:
    engine = create_async_engine(driver_url(server), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.exec_driver_sql(statement)
    finally:
        await engine.dispose()
