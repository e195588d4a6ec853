from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import func

from bali.concurrency import run_in_thread
from bali.database import AsyncQuery, Database, SyncQuery
from bali.errors import NotFound, ValidationFailed
from bali.resources import ListQuery
from bali.resources.filter import Comparison, Operator, Presence
from tests.database.catalog import Author, Book


@pytest.fixture
async def people(catalog: Database) -> Database:
    async with catalog.unit():
        for name, age in (("Ann", 30), ("Bob", 20), ("Cid", None)):
            author = await Author.aio.create(name=name, age=age)
            await Book.aio.create(author_id=author.id, title=f"by {name}")
    return catalog


async def test_steps_refine_a_query(people: Database) -> None:
    query = Author.aio.query(age__gte=10)
    assert isinstance(query, AsyncQuery)
    assert [item.name for item in await query.order_by("-name")] == ["Bob", "Ann"]
    assert [item.name for item in await query.filter(Author.age > 25)] == ["Ann"]
    assert [item.name for item in await query.filter(name__startswith="B").all()] == ["Bob"]
    assert [item.name for item in await query.order_by(Author.age.desc()).limit(1)] == ["Ann"]
    youngest, first = await query.order_by("age").first(), await query.first()
    assert youngest is not None
    assert first is not None
    assert (youngest.name, first.name) == ("Bob", "Ann")
    assert await query.count() == 2
    assert await query.limit(1).count() == 1
    assert await query.exists()
    assert not await query.filter_by(name="Cid").exists()


async def test_one_is_the_only_one(people: Database) -> None:
    assert (await Author.aio.query(name="Ann").one()).age == 30
    with pytest.raises(NotFound):
        await Author.aio.query(name="nobody").one()
    with pytest.raises(ValueError, match="more than one Author"):
        await Author.aio.query().one()


async def test_sqlalchemy_s_steps_are_there(people: Database) -> None:
    query = Author.aio.query().join(Author.books).where(Book.title == "by Bob")
    assert [item.name for item in await query.with_for_update()] == ["Bob"]
    assert "JOIN" in str(query.statement)
    assert query.columns_clause_froms
    with pytest.raises(AttributeError):
        _ = query.no_such_step
    with pytest.raises(AttributeError):
        _ = query._private


async def test_an_ordering_is_checked(people: Database) -> None:
    with pytest.raises(ValidationFailed):
        Author.aio.query().order_by("nobody")


async def test_blocking_queries_are_the_same(people: Database) -> None:
    def action() -> None:
        query = Author.io.query(age__gte=10)
        assert isinstance(query, SyncQuery)
        assert [item.name for item in query.order_by("age")] == ["Bob", "Ann"]
        assert len(query.all()) == query.count() == 2
        assert query.exists()
        first = query.first()
        assert first is not None
        assert first.name == "Ann"
        assert query.filter(name="Bob").one().age == 20

    await run_in_thread(action)


@pytest.mark.parametrize(
    "order",
    [
        lambda query: query,
        lambda query: query.order_by("name"),
        lambda query: query.order_by(Author.name),
        lambda query: query.order_by(Author.name.asc(), "id"),
        lambda query: query.order_by(Author.__table__.c.name),
    ],
    ids=["none", "text", "column", "several", "table"],
)
async def test_a_query_is_read_page_by_page(people: Database, order: Callable[..., Any]) -> None:
    query = order(Author.aio.query(Author.name != "Bob"))
    first = await query.read_page(ListQuery(page_size=1, with_total=True))
    assert ([item.name for item in first.items], first.total) == (["Ann"], 2)
    rest = ListQuery(page_size=5, page_token=first.next_page_token)
    second = await query.read_page(rest)
    assert ([item.name for item in second.items], second.next_page_token) == (["Cid"], "")


async def test_the_ordering_of_a_query_descends_too_and_a_callers_counts_more(
    people: Database,
) -> None:
    query = Author.aio.query(age__gte=1).order_by(Author.name.desc())
    ours = await query.read_page(ListQuery(page_size=5))
    theirs = await query.read_page(ListQuery(page_size=5, order_by="name"))
    assert [item.name for item in ours.items] == ["Bob", "Ann"]
    assert [item.name for item in theirs.items] == ["Ann", "Bob"]


async def test_a_query_with_a_limit_of_its_own_is_one_page(people: Database) -> None:
    query = Author.aio.query().order_by("name").limit(2)
    page = await query.read_page(ListQuery(page_size=1, with_total=True))
    assert [item.name for item in page.items] == ["Ann", "Bob"]
    assert (page.next_page_token, page.total) == ("", 2)
    condition = Presence(attribute="name")
    with pytest.raises(ValidationFailed) as caught:
        await query.read_page(ListQuery(page_size=1, filter="name:*", condition=condition))
    assert [item.field for item in caught.value.field_errors] == ["filter"]


async def test_a_query_is_filtered_as_its_caller_wants(people: Database) -> None:
    query = Author.aio.query(Author.name != "Bob")
    condition = Comparison(attribute="name", operator=Operator.GT, value="Ann")
    page = await query.read_page(
        ListQuery(page_size=1, filter="name > Ann", condition=condition, with_total=True)
    )
    assert ([item.name for item in page.items], page.total) == (["Cid"], 1)


async def test_no_page_token_holds_an_ordering_by_expressions(people: Database) -> None:
    query = Author.aio.query().order_by(func.lower(Author.name))
    with pytest.raises(TypeError, match="a query of Author that is ordered by an expression"):
        await query.read_page(ListQuery(page_size=1))
    assert [item.name for item in await query.read_all()] == ["Ann", "Bob", "Cid"]


async def test_joined_queries_are_counted_and_read_in_pages(people: Database) -> None:
    query = Author.aio.query().join(Author.books).where(Book.title.startswith("by"))
    page = await query.read_page(ListQuery(page_size=2, with_total=True))
    assert (len(page.items), page.total) == (2, 3)
