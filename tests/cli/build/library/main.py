"""A library: what a contract may have, in one small service."""

import datetime
import enum
from collections.abc import AsyncIterator
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from bali import Bali, Resource, action


class Genre(enum.Enum):
    """What kind of book."""

    FICTION = "fiction"
    SCIENCE = "science"


class Paper(BaseModel):
    kind: Literal["paper"] = "paper"
    pages: int


class Audio(BaseModel):
    kind: Literal["audio"] = "audio"
    minutes: int


class Book(BaseModel):
    """A book of the library."""

    title: str = Field(description="As it stands on the cover.")
    genre: Genre = Genre.FICTION
    published: datetime.date | None = None
    authors: list[str] = []
    copies: dict[str, int] = {}
    form: Annotated[Paper | Audio, Field(discriminator="kind")]
    notes: list[str] | None = None


class Wanted(BaseModel):
    text: str


class BookResource(Resource):
    """Books that may be borrowed."""

    @action(methods=["post"])
    async def lend(self, schema_in: Book) -> Book:
        """Lend a book."""
        return schema_in.model_copy(update={"notes": ["lent"]})

    @action()
    async def search(self, schema_in: Wanted) -> AsyncIterator[Book]:
        """Find books.

        One after the other.
        """
        yield Book(title=schema_in.text, form=Audio(minutes=90))


app = Bali(title="library", resources=[BookResource])

if __name__ == "__main__":
    app.start()
