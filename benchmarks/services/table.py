"""The table as a good engineer maps it by hand."""

from __future__ import annotations

import datetime
import os

from sqlalchemy import DateTime, String
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DATABASE_URL = os.environ.get("DATABASE_URL", "postgresql://postgres@127.0.0.1/test")
#: Of each service; all of them together stay below the usual 100 connections of PostgreSQL.
POOL_SIZE = 10


class Base(DeclarativeBase):
    """The base of the models."""


class User(Base):
    """The rows that every service answers with."""

    __tablename__ = "bench_users"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_time: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))
    updated_time: Mapped[datetime.datetime] = mapped_column(DateTime(timezone=True))
    is_active: Mapped[bool]
    username: Mapped[str] = mapped_column(String(50))
    age: Mapped[int | None]


def utc_now() -> datetime.datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.datetime.now(datetime.UTC)


def new_sessions() -> async_sessionmaker[AsyncSession]:
    """Return a factory of sessions over a pool like bali's."""
    url = DATABASE_URL.replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(url, pool_size=POOL_SIZE, max_overflow=0)
    return async_sessionmaker(engine, expire_on_commit=False)
