"""Routes that are no resources."""

from typing import Any

from fastapi import Header

from bali import APIRouter
from models.user import User
from schemas.user import UserSchema

router = APIRouter()


@router.get("/users/", response_model=UserSchema)
def get_users(*, channel: str = Header(None)) -> Any:
    return User.io.first_or_error(channel=channel or "web")
