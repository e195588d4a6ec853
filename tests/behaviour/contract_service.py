"""A service whose resources keep what the AIPs promise, whichever way they are called."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from bali import (
    Bali,
    Context,
    Database,
    ModelResource,
    Permission,
    Principal,
    SoftDelete,
    StaticTokens,
    action,
)
from bali.settings import Settings, Stage

__all__ = ["db", "make_app"]

db = Database()

TOKENS = {f"{name}-token": Principal(id=name) for name in ("ann", "bob")}


class Note(SoftDelete, db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """Something written down, which belongs to somebody."""

    __tablename__ = "contract_notes"

    title: Mapped[str] = mapped_column(String(50), unique=True)
    text: Mapped[str | None] = mapped_column(String(200))
    stars: Mapped[int] = mapped_column(default=0)
    owner: Mapped[str] = mapped_column(String(20), default="")
    labels: Mapped[dict[str, Any] | None]


class Counted(db.Model):  # type: ignore[name-defined, misc]  # made at run time
    """An item that counts its changes."""

    __tablename__ = "contract_counted"

    id: Mapped[str] = mapped_column(String(20), primary_key=True)
    value: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(info={"read_only": True})

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - as SQLAlchemy wants it


class Comment(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """What somebody says of a note."""

    __tablename__ = "contract_comments"

    note_id: Mapped[int] = mapped_column(ForeignKey("contract_notes.id"))
    words: Mapped[str] = mapped_column(String(50))
    author: Mapped[str] = mapped_column(String(20), default="")


class Reason(BaseModel):
    """Why something is done."""

    reason: str


class NoteResource(ModelResource):
    """Notes: each caller sees their own, and strangers see all."""

    model = Note
    batch = True

    def visible_to(self, principal: Principal | None) -> Any:
        """Return the caller's notes, all of them to nobody in particular."""
        return True if principal is None else Note.owner == principal.id

    @action(detail=True, methods=["post"])
    async def star(self, pk: int, schema_in: Reason) -> Note:
        """Add a star."""
        note: Note = await self.store.get(pk)
        changed: Note = await self.store.update(
            pk, {"stars": note.stars + 1, "text": schema_in.reason}
        )
        return changed


class CountedResource(ModelResource):
    """Items with a version."""

    model = Counted
    plural = "counted"
    name = "counter"


class IsAuthor(Permission):
    """Everybody reads; who has written something may change it."""

    def has_permission(self, context: Context) -> bool:
        """Return True."""
        del context
        return True

    def has_object_permission(self, context: Context, item: Any) -> bool:
        """Tell whether the item is the caller's."""
        return context.principal is not None and item.author == context.principal.id


class CommentResource(ModelResource):
    """Comments, of which each caller touches their own."""

    model = Comment
    permission_classes = [IsAuthor]  # noqa: RUF012 - as users write it
    batch = True

    @action(detail=True)
    async def shout(self, pk: int) -> str:
        """Say it aloud."""
        comment = await self.store.get(pk)
        return str(comment.words).upper()

    async def create(self, schema_in: Any) -> Comment:
        """Store what was said, in small letters."""
        schema_in.words = schema_in.words.lower()
        made: Comment = await super().create(schema_in)
        return made


def make_app() -> Bali:
    """Return the app; `db` must be connected by whoever runs it."""
    return Bali(
        title="contract",
        resources=[NoteResource, CountedResource, CommentResource],
        authenticator=StaticTokens(TOKENS),
        settings=Settings(stage=Stage.TEST),
        databases=[db],
    )
