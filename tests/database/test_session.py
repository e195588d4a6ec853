from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload

from bali.concurrency import run_in_thread
from bali.database import Database
from bali.errors import AlreadyExists
from tests.database.catalog import Author, Book


@pytest.fixture
async def library(catalog: Database) -> Database:
    async with catalog.unit():
        author = await Author.aio.create(name="Ann")
        for title in ("One", "Two"):
            await Book.aio.create(author_id=author.id, title=title)
    return catalog


async def test_relations_are_read_when_used_in_a_blocking_action(library: Database) -> None:
    def action() -> list[str]:
        author = Author.io.first_or_error(name="Ann")
        titles = sorted(book.title for book in author.books)
        assert Book.io.first_or_error(title="One").author is author
        return titles

    async with library.unit():
        assert await run_in_thread(action) == ["One", "Two"]


async def test_and_in_a_blocking_transaction(library: Database) -> None:
    def action() -> int:
        with library.transaction():
            author = Author.io.first_or_error(name="Ann")
            return len(author.books)

    assert await run_in_thread(action) == 2


async def test_in_asynchronous_code_they_are_awaited(library: Database) -> None:
    async with library.unit():
        author = await Author.aio.first_or_error(name="Ann")
        with pytest.raises(RuntimeError, match=r"awaitable_attrs"):
            _ = author.books
        assert len(await author.awaitable_attrs.books) == 2
        assert len(author.books) == 2


async def test_or_loaded_with_the_query(library: Database) -> None:
    query = Author.aio.query().options(selectinload(Author.books))
    (author,) = await query
    assert sorted(book.title for book in author.books) == ["One", "Two"]


async def test_the_synchronous_session_works_in_a_thread(library: Database) -> None:
    def action() -> None:
        session = library.sync_session
        author = session.scalars(select(Author)).one()
        session.add(Book(author=author, title="Three"))
        session.flush()
        assert session.scalar(select(Book.title).where(Book.title == "Three")) == "Three"
        assert session.get(Author, author.id) is author
        assert session.execute(select(Author.name)).scalar_one() == "Ann"
        assert session.connection() is not None
        session.commit()
        session.add(Book(author=author, title="Four"))
        session.flush()
        session.rollback()
        session.refresh(author)
        assert len(author.books) == 3
        session.close()

    async with library.unit():
        await run_in_thread(action)
    assert await Book.aio.count() == 3


async def test_code_for_the_synchronous_session_runs_as_it_is(library: Database) -> None:
    def work(session: Session) -> list[str]:
        author: Any = session.scalars(select(Author)).one()
        return sorted(book.title for book in author.books)

    assert await library.run_sync(work) == ["One", "Two"]
    async with library.unit():
        assert await library.run_sync(work) == ["One", "Two"]

    def fail(session: Session) -> None:
        session.add(Author(name="Ann"))
        session.flush()

    with pytest.raises(AlreadyExists):
        await library.run_sync(fail)
