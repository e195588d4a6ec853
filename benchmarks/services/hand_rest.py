"""REST by hand: FastAPI, a response model, an ORM session per request."""

import datetime
import sys
from collections.abc import AsyncIterator
from typing import Annotated

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Query
from pydantic import BaseModel, ConfigDict
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from benchmarks.services.table import User, new_sessions

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


async def session() -> AsyncIterator[AsyncSession]:
    """Open a session for one request."""
    async with sessions() as opened:
        yield opened


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


if __name__ == "__main__":
    uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http="httptools", log_level="warning",
                access_log=False)  # fmt: skip
