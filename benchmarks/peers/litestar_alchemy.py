"""Litestar + advanced-alchemy: a controller over a repository service, with its DTOs."""

import datetime
import os
import sys
from typing import Annotated, Any

import uvicorn
from advanced_alchemy.extensions.litestar import (
    AsyncSessionConfig,
    EngineConfig,
    SQLAlchemyAsyncConfig,
    SQLAlchemyDTO,
    SQLAlchemyDTOConfig,
    SQLAlchemyPlugin,
)
from advanced_alchemy.filters import LimitOffset, OrderBy
from advanced_alchemy.repository import SQLAlchemyAsyncRepository
from advanced_alchemy.service import SQLAlchemyAsyncRepositoryService
from litestar import Controller, Litestar, get, patch, post
from litestar.di import Provide
from litestar.dto import DTOData
from litestar.params import Parameter
from sqlalchemy import DateTime, String
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

URL = os.environ.get("DATABASE_URL", "postgresql://postgres@127.0.0.1/test")


def utc_now() -> datetime.datetime:
    """Return the present moment."""
    return datetime.datetime.now(datetime.UTC)


class Base(DeclarativeBase):
    """The base of the models."""


class User(Base):
    """The table."""

    __tablename__ = "bench_users"

    id: Mapped[int] = mapped_column(primary_key=True)
    created_time: Mapped[datetime.datetime] = mapped_column(
        DateTime(timezone=True), default=utc_now
    )
    updated_time: Mapped[datetime.datetime] = mapped_column(
        DateTime(timezone=True), default=utc_now, onupdate=utc_now
    )
    is_active: Mapped[bool] = mapped_column(default=True)
    username: Mapped[str] = mapped_column(String(50))
    age: Mapped[int | None]


_SERVER_SET = {"id", "created_time", "updated_time"}


class WriteDTO(SQLAlchemyDTO[User]):
    """What callers give."""

    config = SQLAlchemyDTOConfig(exclude=_SERVER_SET)


class PatchDTO(SQLAlchemyDTO[User]):
    """What may change."""

    config = SQLAlchemyDTOConfig(exclude=_SERVER_SET, partial=True)


class ReadDTO(SQLAlchemyDTO[User]):
    """What is answered."""


class UserService(SQLAlchemyAsyncRepositoryService[User]):
    """The service over the table."""

    class Repository(SQLAlchemyAsyncRepository[User]):
        """Its repository."""

        model_type = User

    repository_type = Repository


async def provide_users(db_session: AsyncSession) -> UserService:
    """Return the service of one request."""
    return UserService(session=db_session)


class UserController(Controller):
    """The routes."""

    path = "/users"
    dto = WriteDTO
    return_dto = ReadDTO
    dependencies = {"users": Provide(provide_users)}  # noqa: RUF012 - as Litestar's guide has it

    @get("/{user_id:int}")
    async def get_user(self, users: UserService, user_id: int) -> User:
        """Return one user."""
        return await users.get(user_id)

    @get()
    async def list_users(
        self, users: UserService, page_size: Annotated[int, Parameter(le=1000)] = 50
    ) -> list[User]:
        """Return one page of users."""
        order = OrderBy(field_name="id", sort_order="asc")
        return list(await users.list(LimitOffset(limit=page_size, offset=0), order))

    @post()
    async def create_user(self, users: UserService, data: DTOData[User]) -> User:
        """Store a user."""
        return await users.create(data.create_instance(), auto_commit=True)

    @patch("/{user_id:int}", dto=PatchDTO)
    async def update_user(self, users: UserService, user_id: int, data: DTOData[User]) -> User:
        """Change a user."""
        values: dict[str, Any] = data.as_builtins()
        return await users.update(values, item_id=user_id, auto_commit=True)


app = Litestar(
    route_handlers=[UserController],
    plugins=[
        SQLAlchemyPlugin(
            config=SQLAlchemyAsyncConfig(
                connection_string=URL.replace("postgresql://", "postgresql+asyncpg://"),
                session_config=AsyncSessionConfig(expire_on_commit=False),
                engine_config=EngineConfig(pool_size=10, max_overflow=0),
            )
        )
    ],
)

if __name__ == "__main__" and "--check" not in sys.argv:
    uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="warning",
                access_log=False)  # fmt: skip
