"""REST by hand: FastAPI, a response model, an ORM session per request."""

import datetime
import sys
from collections.abc import AsyncIterator
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.services.table import User, new_sessions, utc_now

app = FastAPI()
sessions = new_sessions()


class UserOut(BaseModel):
    """One user."""

    model_config = ConfigDict(from_attributes=True)

    id: int
    created_time: datetime.datetime
    updated_time: datetime.datetime
    is_active: bool
    username: str
    age: int | None


class UserPage(BaseModel):
    """Some users."""

    model_config = ConfigDict(from_attributes=True)

    items: list[UserOut]
    next_page_token: str = ""
    total: int | None = None


class UserIn(BaseModel):
    """A new user."""

    username: str = Field(max_length=50)
    age: int | None = None
    is_active: bool = True


class UserPatch(BaseModel):
    """Changes of a user; what is absent stays."""

    username: str = Field(default="", max_length=50)
    age: int | None = None
    is_active: bool = True


class Pong(BaseModel):
    """What `ping` says."""

    text: str


async def session() -> AsyncIterator[AsyncSession]:
    """Open a session for one request."""
    async with sessions() as opened:
        yield opened


@app.get("/users/ping")
async def ping() -> Pong:
    """Say the same each time."""
    return Pong(text="pong")


@app.get("/users/{user_id}", response_model=UserOut)
async def get_user(user_id: int, db: Annotated[AsyncSession, Depends(session)]) -> User:
    """Return one user."""
    user = await db.get(User, user_id)
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users", response_model=UserPage)
async def list_users(
    db: Annotated[AsyncSession, Depends(session)],
    page_size: Annotated[int, Query(ge=1, le=1000)] = 50,
    after: int = 0,
) -> dict[str, object]:
    """Return one page of users."""
    statement = select(User).where(User.id > after).order_by(User.id).limit(page_size + 1)
    users = list((await db.scalars(statement)).all())
    token = str(users[page_size - 1].id) if len(users) > page_size else ""
    return {"items": users[:page_size], "next_page_token": token}


@app.post("/users", response_model=UserOut, status_code=201)
async def create_user(given: UserIn, db: Annotated[AsyncSession, Depends(session)]) -> User:
    """Store a user."""
    now = utc_now()
    user = User(created_time=now, updated_time=now, **given.model_dump())
    db.add(user)
    await db.commit()
    return user


@app.patch("/users/{user_id}", response_model=UserOut)
async def update_user(
    user_id: int, given: UserPatch, db: Annotated[AsyncSession, Depends(session)]
) -> User:
    """Change a user."""
    user = await db.get(User, user_id)
    if user is None:
        raise HTTPException(404)
    for name, value in given.model_dump(exclude_unset=True).items():
        setattr(user, name, value)
    user.updated_time = utc_now()
    await db.commit()
    return user


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="warning",
                access_log=False)  # fmt: skip
