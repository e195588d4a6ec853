"""A user service: one model, one resource, and everything else follows.

Reading is open to everybody. Writing needs a token: `Authorization: Bearer demo-token`.
"""

from collections.abc import AsyncIterator
from typing import ClassVar

from pydantic import BaseModel, Field
from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from bali import Bali, Context, IsAuthenticated, ModelResource, Permission, StaticTokens, action, db

READING = {"users.list", "users.get", "users.watch"}


class User(db.BaseModel):
    """Somebody with an account."""

    __tablename__ = "users"

    username: Mapped[str] = mapped_column(String(50), unique=True)
    age: Mapped[int | None]


class Reason(BaseModel):
    """Why an account is switched off."""

    text: str = Field(min_length=3, max_length=200)


class IsReading(Permission):
    """Calls that change nothing."""

    def has_permission(self, context: Context) -> bool:
        """Tell whether the operation only reads."""
        return context.operation in READING


class UserResource(ModelResource):
    """The users of the service."""

    model = User
    filters: ClassVar = ["username", "username__istartswith", "age__gte"]
    permission_classes: ClassVar = [IsReading | IsAuthenticated]

    @action(detail=True, methods=["post"])
    async def deactivate(self, pk: int, schema_in: Reason) -> User:
        """Switch an account off."""
        user: User = await self.store.update(pk, {"is_active": False})
        print(f"{self.auth.id if self.auth else '?'} deactivated {user.username}: {schema_in.text}")
        return user

    @action()
    async def watch(self, at_least: int = 0) -> AsyncIterator[User]:
        """Tell of every user of an age, one after the other."""
        for user in await User.aio.filter(age__gte=at_least, order_by="age"):
            yield user


app = Bali(
    title="user",
    resources=[UserResource],
    authenticator=StaticTokens({"demo-token": "demo"}),
)

if __name__ == "__main__":
    app.start()
