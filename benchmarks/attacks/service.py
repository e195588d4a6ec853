"""The service that is attacked: every row belongs to somebody."""

from __future__ import annotations

from typing import Any

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from bali import Bali, Database, ModelResource, Principal, SoftDelete, StaticTokens, action
from bali.settings import Settings, Stage

__all__ = ["ATTACKER", "MARK", "VICTIM", "Letter", "db", "fill", "make_app"]

#: A word in every text of every row of the victim, and nowhere else.
MARK = "zq7vxk"
ATTACKER = {"authorization": "Bearer mallory-token"}
VICTIM = {"authorization": "Bearer victim-token"}
_ROWS = 40

db = Database()


class Letter(SoftDelete, db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """A letter, to be read by its owner alone."""

    __tablename__ = "attacked_letters"

    owner: Mapped[str] = mapped_column(String(40))
    subject: Mapped[str] = mapped_column(String(200))
    pages: Mapped[int] = mapped_column(default=1)
    code: Mapped[str | None] = mapped_column(String(40), unique=True)


class LetterResource(ModelResource):
    """Letters of the caller."""

    model = Letter
    batch = True
    filters = ("subject", "subject__contains", "pages__gte")

    def visible_to(self, principal: Principal | None) -> Any:
        """Return the caller's own letters."""
        return False if principal is None else Letter.owner == principal.id

    @action(detail=True)
    async def read(self, pk: int) -> str:
        """Read a letter aloud."""
        return str((await self.store.get(pk)).subject)

    @action(detail=True, methods=["post"])
    async def forward(self, pk: int, to: str) -> Letter:
        """Give a letter to somebody else."""
        letter: Letter = await self.store.update(pk, {"owner": to})
        return letter


def make_app() -> Bali:
    """Return the app; `db` must be connected by whoever runs it."""
    tokens = {f"{name}-token": Principal(id=name) for name in ("mallory", "victim")}
    return Bali(
        title="attacked",
        resources=[LetterResource],
        authenticator=StaticTokens(tokens),
        settings=Settings(stage=Stage.TEST),
        databases=[db],
    )


async def fill() -> list[int]:
    """Make the rows of the victim anew, some of them deleted, and return their keys."""
    async with db.transaction() as session:
        for letter in await Letter.aio.filter():
            await session.delete(letter)
    keys: list[int] = []
    for number in range(_ROWS):
        letter = await Letter.aio.create(
            owner="victim", subject=f"{MARK} {number}", pages=number, code=f"{MARK}-{number}"
        )
        keys.append(letter.id)
    for key in keys[::4]:
        await Letter.__store__.delete(key)
    return keys
