"""FastAPI + SQLModel: one class is table and schema, a session for each request."""

import datetime
import os
import sys
from collections.abc import AsyncIterator
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import DateTime, Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

URL = os.environ.get("DATABASE_URL", "postgresql://postgres@127.0.0.1/test")
engine = create_async_engine(
    URL.replace("postgresql://", "postgresql+asyncpg://"), pool_size=10, max_overflow=0
)
app = FastAPI()


def utc_now() -> datetime.datetime:
    """Return the present moment."""
    return datetime.datetime.now(datetime.UTC)


class UserBase(SQLModel):
    """What callers give."""

    username: str = Field(max_length=50)
    age: int | None = None
    is_active: bool = True


class User(UserBase, table=True):
    """The table, and what is answered."""

    __tablename__ = "bench_users"

    id: int | None = Field(default=None, primary_key=True)
    created_time: datetime.datetime = Field(
        default_factory=utc_now, sa_type=DateTime(timezone=True)
    )
    updated_time: datetime.datetime = Field(
        default_factory=utc_now, sa_type=DateTime(timezone=True)
    )


class UserUpdate(SQLModel):
    """What may change."""

    username: str | None = Field(default=None, max_length=50)
    age: int | None = None
    is_active: bool | None = None


class Page(SQLModel):
    """Some users."""

    items: list[User]


async def session() -> AsyncIterator[AsyncSession]:
    """Open a session for one request."""
    async with AsyncSession(engine, expire_on_commit=False) as opened:
        yield opened


Session = Annotated[AsyncSession, Depends(session)]


@app.get("/users/{user_id}")
async def get_user(user_id: int, db: Session) -> User:
    """Return one user."""
    user = await db.get(User, user_id)
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users")
async def list_users(db: Session, page_size: Annotated[int, Query(le=1000)] = 50) -> Page:
    """Return one page of users."""
    found = await db.exec(select(User).order_by(User.id).limit(page_size))
    return Page(items=list(found))


@app.post("/users", status_code=201)
async def create_user(given: UserBase, db: Session) -> User:
    """Store a user."""
    user = User.model_validate(given)
    db.add(user)
    await db.commit()
    return user


@app.patch("/users/{user_id}")
async def update_user(user_id: int, given: UserUpdate, db: Session) -> User:
    """Change a user."""
    user = await db.get(User, user_id)
    if user is None:
        raise HTTPException(404)
    user.sqlmodel_update(given.model_dump(exclude_unset=True))
    user.updated_time = utc_now()
    db.add(user)
    await db.commit()
    return user


if __name__ == "__main__" and "--check" not in sys.argv:
    uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="warning",
                access_log=False)  # fmt: skip
