from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import NoResultFound, SQLAlchemyError, StatementError
from sqlalchemy.orm.exc import StaleDataError

from bali.database import Database, mapped_errors
from bali.errors import (
    Aborted,
    AlreadyExists,
    BaliError,
    FailedPrecondition,
    NotFound,
    Unavailable,
    ValidationFailed,
)
from tests.database.catalog import Author, Book, Pair, Sample, Tag


async def failure(work: Any) -> BaliError:
    with pytest.raises(BaliError) as caught:
        await work
    shown = f"{caught.value} {caught.value.detail} {caught.value.metadata}"
    shown += " ".join(item.description for item in caught.value.field_errors)
    for secret in ("INSERT", "SELECT", "catalog_", "Secret", "constraint"):
        assert secret not in shown
    return caught.value


def fields(error: BaliError) -> list[tuple[str, str]]:
    return [(item.field, item.reason) for item in error.field_errors]


async def test_a_value_twice_names_its_field(catalog: Database) -> None:
    await Author.aio.create(name="Secret", email="e")
    error = await failure(Author.aio.create(name="Secret"))
    assert isinstance(error, AlreadyExists)
    assert fields(error) == [("name", "ALREADY_EXISTS")]
    error = await failure(Author.aio.create(name="Secret' for key 'x", email="e"))
    assert fields(error) == [("email", "ALREADY_EXISTS")]


async def test_several_fields_are_named(catalog: Database) -> None:
    author = await Author.aio.create(name="a")
    await Book.aio.create(author_id=author.id, title="Secret, (1)", shelf="s", place=1)
    error = await failure(Book.aio.create(author_id=author.id, title="Secret, (1)"))
    assert fields(error) == [("author_id", "ALREADY_EXISTS"), ("title", "ALREADY_EXISTS")]
    error = await failure(Book.aio.create(author_id=author.id, title="other", shelf="s", place=1))
    assert [name for name, _ in fields(error)] == ["shelf", "place"]


async def test_a_key_twice_names_the_key(catalog: Database) -> None:
    await Tag.aio.create(slug="Secret")
    error = await failure(Tag.aio.create(slug="Secret"))
    assert fields(error) == [("slug", "ALREADY_EXISTS")]
    await Pair.aio.create(left=1, right=2)
    error = await failure(Pair.aio.create(left=1, right=2))
    assert [name for name, _ in fields(error)] == ["left", "right"]


async def test_a_missing_value_names_its_field(catalog: Database) -> None:
    error = await failure(Author.aio.create(name=None))
    assert isinstance(error, ValidationFailed)
    assert fields(error) == [("name", "REQUIRED")]
    author = await Author.aio.create(name="a")
    book = await Book.aio.create(author_id=author.id, title="t")
    book.isbn = None
    error = await failure(book.aio.save())
    assert fields(error) == [("isbn", "REQUIRED")]  # the attribute, not the column


async def test_a_reference_that_does_not_hold(catalog: Database) -> None:
    error = await failure(Book.aio.create(author_id=99, title="Secret"))
    assert isinstance(error, FailedPrecondition)
    assert error.reason == "REFERENCE"
    author = await Author.aio.create(name="a")
    await Book.aio.create(author_id=author.id, title="t")

    async def delete() -> None:
        await catalog.run(
            lambda session: session.execute(text("DELETE FROM catalog_authors")), writes=True
        )

    assert isinstance(await failure(delete()), FailedPrecondition)


async def test_a_rule_of_the_table(catalog: Database) -> None:
    author = await Author.aio.create(name="a")
    error = await failure(Book.aio.create(author_id=author.id, title="t", pages=-1))
    assert isinstance(error, ValidationFailed)
    assert error.reason == "CHECK_FAILED"


async def test_what_is_too_long_or_too_large(catalog: Database, backend: str) -> None:
    error = await failure(Sample.aio.create(big=2**70))
    assert isinstance(error, ValidationFailed)
    if backend in ("sqlite", "memory"):
        return
    error = await failure(Author.aio.create(name="Secret" * 50))
    assert isinstance(error, ValidationFailed)
    error = await failure(Author.aio.create(name="a", age=40_000))
    assert isinstance(error, ValidationFailed)
    if backend == "mariadb":
        assert fields(error) == [("age", "OUT_OF_RANGE")]


async def test_a_mistake_of_the_service_is_no_answer(catalog: Database) -> None:
    with pytest.raises(SQLAlchemyError):
        await catalog.run(lambda session: session.execute(text("SELECT * FROM nowhere")))


@pytest.mark.parametrize(
    "address",
    [
        "postgresql://postgres@127.0.0.1:{port}/test",
        "mysql://root@127.0.0.1:{port}/test",
        "postgresql://postgres@no-such-host.invalid/test",
        "sqlite:////no/such/folder/file.sqlite3",
    ],
)
async def test_a_server_that_is_not_there_is_unavailable(address: str) -> None:
    with socket.socket() as probe:  # bound and not listening: refuses every connection
        probe.bind(("127.0.0.1", 0))
        database = Database(address.format(port=probe.getsockname()[1]))
        for work in (
            database.ping(),
            database.run(lambda session: session.execute(text("SELECT 1"))),
            database.create_all_async(),
        ):
            with pytest.raises(Unavailable) as caught:
                await work
            assert caught.value.retry_after_seconds == 1.0
        await database.close()


async def test_a_locked_file_is_aborted(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'x.sqlite3'}"
    first, second = Database(address), Database(address, connect_args={"timeout": 0})
    async with first.unit():
        await first.session.execute(text("CREATE TABLE t (x)"))
        await first.session.execute(text("INSERT INTO t VALUES (1)"))

        async def impatient() -> None:
            async with second.unit():
                await second.session.execute(text("PRAGMA busy_timeout = 0"))
                await second.session.execute(text("INSERT INTO t VALUES (2)"))

        with pytest.raises(Aborted):
            await impatient()
    await first.close()
    await second.close()


def test_errors_that_are_not_the_database_s_pass() -> None:
    for error in (KeyError("x"), NotFound("mine"), TypeError("bug")):

        def fail(error: Exception = error) -> None:
            with mapped_errors():
                raise error

        with pytest.raises(type(error)) as caught:
            fail()
        assert caught.value is error


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (StaleDataError("x"), Aborted),
        (NoResultFound("x"), NotFound),
        (StatementError("x", "y", {}, OverflowError()), ValidationFailed),
        (StatementError("x", "y", {}, TypeError()), StatementError),
        (OverflowError("too large"), ValidationFailed),
        (ConnectionResetError(), Unavailable),
    ],
)
def test_errors_before_and_after_the_driver(error: Exception, wanted: type[Exception]) -> None:
    def fail() -> None:
        with mapped_errors():
            raise error

    with pytest.raises(wanted):
        fail()
