"""A resource whose fields behave in every way that AIP-203 knows."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel, Field, computed_field
from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from bali import ListRequest, ModelResource, Page, action, model_to_schema
from tests.behaviour.database import db

SECRET = "correct horse battery staple"


class Pin(BaseModel):
    """How a door opens."""

    door: str
    hint: str | None = None
    code: str | None = Field(default=None, json_schema_extra={"writeOnly": True})


class Account(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """Who may come in."""

    __tablename__ = "behaviour_accounts"

    login: Mapped[str] = mapped_column(String(50), unique=True, info={"immutable": True})
    password: Mapped[str] = mapped_column(String(100), info={"input_only": True})
    token: Mapped[str | None] = mapped_column(
        String(50), info={"input_only": True, "immutable": True}
    )
    country: Mapped[str | None] = mapped_column(String(2), info={"immutable": True})
    name: Mapped[str | None] = mapped_column(String(50))
    pins: Mapped[Any] = mapped_column(JSON, default=list)
    main: Mapped[Any] = mapped_column(JSON, nullable=True)


class AccountSchema(model_to_schema(Account)):  # type: ignore[misc]  # made at run time
    """Who may come in, and how."""

    pins: list[Pin] = Field(default_factory=list)
    main: Pin | None = None

    @computed_field
    def title(self) -> str:
        """What to call them."""
        return f"{self.name or 'nobody'} <{self.login}>"


class AccountResource(ModelResource):
    """Accounts, with what nobody may see."""

    model = Account
    schema = AccountSchema
    filters = ("login",)
    batch = True

    @action(detail=True, methods=["post"])
    async def rename(self, pk: int, name: str) -> Account:
        """Change the name."""
        return await self.store.update(pk, {"name": name})  # type: ignore[no-any-return]  # an Account

    @action(methods=["post"])
    async def echo(self, schema_in: AccountSchema) -> AccountSchema:
        """Return what was sent, as a careless author would."""
        assert schema_in.password
        now = datetime.datetime.now(datetime.UTC)
        own = schema_in.model_dump(exclude={"title"}, exclude_unset=True)
        return AccountSchema(id=1, created_time=now, updated_time=now, **own)

    @action()
    async def found(self, schema_in: ListRequest) -> Page[Account]:
        """Return accounts by a query."""
        query: Page[Account] = Account.aio.query()
        return query

    @action(detail=True)
    async def follow(self, pk: int) -> AsyncIterator[Account]:
        """Tell of an account twice."""
        for _ in range(2):
            yield await self.store.get(pk)

    @action(detail=True)
    async def broken(self, pk: int) -> AccountSchema:
        """Return what is no account."""
        account: Account = await self.store.get(pk)
        return {"password": account.password, "login": 7}  # type: ignore[return-value]


class PlainAccountResource(ModelResource):
    """The same by the short way, without the ORM."""

    name = "plain_account"
    model = Account
    schema = model_to_schema(Account, exclude=["pins", "main"], name="PlainAccountSchema")
