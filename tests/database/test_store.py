from __future__ import annotations

import asyncio
import random
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bali.database import Database, ModelStore
from bali.errors import (
    AlreadyExists,
    ConfigurationError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ValidationFailed,
)
from bali.resources import ListQuery, Page
from bali.resources.store import Stored
from tests.database.catalog import Author, Book, Device, Pair, Sample, Tag

authors: ModelStore = Author.__store__
samples: ModelStore = Sample.__store__


async def all_pages(store: ModelStore, page_size: int, **options: Any) -> list[Any]:
    """Follow the tokens to the end; no page but the last may be short."""
    found: list[Any] = []
    token = ""
    for _ in range(1000):
        page = await store.list(ListQuery(page_size=page_size, page_token=token, **options))
        found += page.items
        token = page.next_page_token
        if not token:
            return found
        assert len(page.items) == page_size
    raise AssertionError("the pages never end")


def test_a_model_knows_its_store() -> None:
    model: Any = Author
    assert isinstance(model, Stored)
    assert Author.__store__ is authors
    assert isinstance(authors, ModelStore)
    assert Book.__store__.model is Book
    assert (authors.key_name, authors.key_type) == ("id", int)
    assert (Tag.__store__.key_name, Tag.__store__.key_type) == ("slug", str)
    assert Device.__store__.key_type is uuid.UUID
    assert authors.schema().__name__ == "AuthorSchema"
    assert authors.filter_types(["name"], where="X") == {"name": str}


def test_a_key_of_two_columns_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"Pair has the key \(left, right\)"):
        _ = Pair.__store__.key_name


async def test_the_five_actions(catalog: Database) -> None:
    made = await authors.create({"name": "Ann", "age": 30})
    assert made.id is not None
    assert (await authors.get(made.id)).name == "Ann"
    changed = await authors.update(made.id, {"age": None, "email": "a@x"})
    assert (changed.id, changed.age, changed.email, changed.name) == (made.id, None, "a@x", "Ann")
    assert changed.updated_time > made.created_time
    page = await authors.list(ListQuery(page_size=10))
    assert [item.id for item in page.items] == [made.id]
    await authors.delete(made.id)
    with pytest.raises(NotFound):
        await authors.get(made.id)


async def test_an_update_of_nothing_returns_the_item(catalog: Database) -> None:
    made = await authors.create({"name": "Ann"})
    same = await authors.update(made.id, {})
    assert (same.id, same.updated_time) == (made.id, made.updated_time)


@pytest.mark.parametrize("key", [1, 2**31, 2**63, 10**30, -1])
async def test_a_missing_key_is_not_found(catalog: Database, key: int) -> None:
    for work in (authors.get(key), authors.update(key, {"age": 1}), authors.delete(key)):
        with pytest.raises(NotFound) as caught:
            await work
        assert caught.value.resource_type == "Author"
        assert caught.value.resource_name == f"catalog_authors/{key}"


async def test_keys_of_other_types(catalog: Database) -> None:
    tag = await Tag.__store__.create({"slug": "a/b ü"})
    assert (await Tag.__store__.get("a/b ü")).weight == tag.weight == 1
    with pytest.raises(NotFound):
        await Tag.__store__.get("A/B Ü")
    device = await Device.__store__.create({})
    assert (device.count, device.double) == (7, 14)
    device = await Device.__store__.update(device.id, {"count": 8})
    assert (device.count, device.double) == (8, 16)
    await Device.__store__.delete(device.id)
    with pytest.raises(NotFound):
        await Device.__store__.get(device.id)


async def test_what_cannot_be_stored_is_refused(catalog: Database) -> None:
    made = await authors.create({"name": "Ann"})
    with pytest.raises(AlreadyExists):
        await authors.create({"name": "Ann"})
    with pytest.raises(ValidationFailed):
        await authors.create({"name": None})
    with pytest.raises(FailedPrecondition):
        await Book.__store__.create({"author_id": made.id + 1, "title": "t"})
    await Book.__store__.create({"author_id": made.id, "title": "t"})
    with pytest.raises((FailedPrecondition, ValidationFailed)):
        await authors.delete(made.id)
    assert await Author.aio.count() == 1


async def test_list_counts_skips_and_filters(catalog: Database) -> None:
    for number in range(7):
        await authors.create({"name": f"n{number}", "age": number % 3})
    page = await authors.list(
        ListQuery(page_size=2, skip=1, order_by="-name", with_total=True, filters={"age__lt": 2})
    )
    assert [item.name for item in page.items] == ["n4", "n3"]
    assert page.total == 5
    following = await authors.list(
        ListQuery(
            page_size=2,
            page_token=page.next_page_token,
            order_by="-name",
            filters={"age__lt": 2},
        )
    )
    assert [item.name for item in following.items] == ["n1", "n0"]
    assert (following.next_page_token, following.total) == ("", None)


@pytest.mark.parametrize("order_by", ["name", "name desc, id desc", "is_active, name desc"])
async def test_pages_by_columns_that_are_never_null(catalog: Database, order_by: str) -> None:
    for number in range(9):
        await authors.create({"name": f"n{number % 3}{number}", "is_active": number % 2 == 0})
    everything = await authors.list(ListQuery(page_size=100, order_by=order_by))
    paged = await all_pages(authors, 2, order_by=order_by)
    assert [item.id for item in paged] == [item.id for item in everything.items]


async def test_a_full_last_page_has_no_token(catalog: Database) -> None:
    for number in range(4):
        await authors.create({"name": str(number)})
    assert len(await all_pages(authors, 2)) == 4
    page: Page[Any] = await authors.list(ListQuery(page_size=4))
    assert page.next_page_token == ""


ORDERINGS = [
    "",
    "id desc",
    "whole",
    "whole desc",
    "flag, whole desc",
    "label desc, whole",
    "size desc, label desc, id desc",
    "price, moment desc",
    "real desc",
    "key",
    "day, clock desc",
    "span",
    "mood, native",
    "note",
]


async def test_pages_hold_every_row_once(catalog: Database) -> None:
    source = random.Random(7)  # noqa: S311 - no secret
    make: dict[str, list[Any]] = {
        "whole": [None, 1, 2, 3],
        "flag": [None, True, False],
        "label": [None, "a", "A", "b", "ü", ""],
        "note": [None, "n", "y" * 3000, "y" * 3001],
        "size": [None, "SMALL", "LARGE"],
        "native": [None, "SMALL", "LARGE"],
        "mood": [None, "good", "bad"],
        "price": [None, "1.5", "-2", "10"],
        "real": [None, 0.1, -0.5, 1e300],
        "key": [None, *(uuid.UUID(int=source.getrandbits(128)) for _ in range(3))],
    }
    async with catalog.unit():
        for _ in range(40):
            values = {name: source.choice(choices) for name, choices in make.items()}
            Sample(**values)
            catalog.session.add(Sample(**values))
    for ordering in ORDERINGS:
        whole = [
            item.id
            for item in (await samples.list(ListQuery(page_size=100, order_by=ordering))).items
        ]
        paged = [item.id for item in await all_pages(samples, 7, order_by=ordering)]
        assert paged == whole, ordering
        assert sorted(paged) == list(range(min(paged), min(paged) + 40)), ordering


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.none() | st.integers(0, 2),
            st.none() | st.sampled_from(["", "a", "A", "b"]),
            st.none() | st.booleans(),
        ),
        max_size=12,
    ),
    ordering=st.lists(
        st.tuples(st.sampled_from(["whole", "label", "flag", "id"]), st.booleans()),
        max_size=3,
        unique_by=lambda term: term[0],
    ),
    page_size=st.integers(1, 5),
)
def test_any_pages_hold_every_row_once(
    url: str, rows: list[Any], ordering: list[tuple[str, bool]], page_size: int
) -> None:
    order_by = ", ".join(f"{name} desc" if falls else name for name, falls in ordering)

    async def check() -> None:
        database = Sample.__database__
        database.connect(url)
        await database.create_all()
        try:
            async with database.unit():
                for whole, label, flag in rows:
                    database.session.add(Sample(whole=whole, label=label, flag=flag))
            everything = await samples.list(ListQuery(page_size=100, order_by=order_by))
            paged = await all_pages(samples, page_size, order_by=order_by)
            assert [item.id for item in paged] == [item.id for item in everything.items]
            assert len({item.id for item in paged}) == len(rows)
        finally:
            await database.drop_all()
            await database.close()

    asyncio.run(check())


ROWS = st.tuples(
    st.integers(-2, 2),
    st.none() | st.sampled_from(["", "a", "A", "b"]),
    st.none() | st.booleans(),
)


@settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    rows=st.lists(ROWS, min_size=2, max_size=10),
    changes=st.lists(st.tuples(st.lists(ROWS, max_size=2), st.integers(0, 20)), max_size=6),
    term=st.sampled_from(["whole", "label", "flag desc", "whole desc, label", "id desc"]),
    page_size=st.integers(1, 4),
)
def test_pages_neither_repeat_nor_miss_what_stays_while_others_come_and_go(
    url: str, rows: list[Any], changes: list[Any], term: str, page_size: int
) -> None:
    async def add(values: Any) -> int:
        whole, label, flag = values
        made = await samples.create({"whole": whole, "label": label, "flag": flag})
        return int(made.id)

    async def check() -> None:
        database = Sample.__database__
        database.connect(url)
        await database.create_all()
        try:
            staying = {await add(values) for values in rows}
            pending, token, seen = list(changes), "", []
            while True:
                query = ListQuery(page_size=page_size, order_by=term, page_token=token)
                page = await samples.list(query)
                seen += [item.id for item in page.items]
                token = page.next_page_token
                if not token:
                    break
                inserted, number = pending.pop() if pending else ([], 0)
                for values in inserted:
                    await add(values)
                if len(staying) > 1 and number % 3:
                    gone = sorted(staying)[number % len(staying)]
                    await samples.delete(gone)
                    staying.discard(gone)
            assert len(seen) == len(set(seen))
            assert staying <= set(seen)
        finally:
            await database.drop_all()
            await database.close()

    asyncio.run(check())


async def test_rows_that_come_and_go_disturb_no_other(catalog: Database) -> None:
    made = [await authors.create({"name": f"n{number}", "age": number}) for number in range(6)]
    first = await authors.list(ListQuery(page_size=3, order_by="age"))
    await authors.create({"name": "early", "age": 0})
    await authors.delete(first.items[-1].id)
    second = await authors.list(
        ListQuery(page_size=10, order_by="age", page_token=first.next_page_token)
    )
    assert [item.id for item in second.items] == [item.id for item in made[3:]]


async def test_a_token_whose_long_row_is_gone_is_refused(catalog: Database) -> None:
    for letter in "ab":
        await samples.create({"note": letter * 5000})
    page = await samples.list(ListQuery(page_size=1, order_by="note"))
    await samples.delete(page.items[0].id)
    with pytest.raises(InvalidArgument) as caught:
        await samples.list(ListQuery(page_size=1, order_by="note", page_token=page.next_page_token))
    assert caught.value.reason == "INVALID_PAGE_TOKEN"


async def test_arguments_must_stay_as_they_were(catalog: Database) -> None:
    for number in range(3):
        await authors.create({"name": str(number)})
    page = await authors.list(ListQuery(page_size=1))
    with pytest.raises(InvalidArgument) as caught:
        await authors.list(ListQuery(page_size=1, order_by="name", page_token=page.next_page_token))
    assert caught.value.reason == "PAGE_TOKEN_MISMATCH"
    bigger = await authors.list(ListQuery(page_size=9, page_token=page.next_page_token))
    assert len(bigger.items) == 2


async def test_every_process_accepts_the_token_of_another(catalog: Database, url: str) -> None:
    for number in range(3):
        await authors.create({"name": str(number)})
    former = catalog.page_token_secret
    if url != "sqlite://":
        catalog.connect(url)
        assert catalog.page_token_secret == former
    catalog.configure(default_name="x", url=None, secret="shared")
    try:
        assert catalog.page_token_secret != former
    finally:
        catalog.configure(default_name="service", url=None, secret=None)


async def test_two_deletes_at_once_delete_once(catalog: Database) -> None:
    made = await authors.create({"name": "Ann"})
    results = await asyncio.gather(
        *(authors.delete(made.id) for _ in range(8)), return_exceptions=True
    )
    assert [result for result in results if result is None] == [None]
    assert {type(result) for result in results if result is not None} == {NotFound}


async def test_updates_at_once_lose_nothing(catalog: Database) -> None:
    made = await authors.create({"name": "Ann", "age": 0})

    async def older() -> None:
        async with catalog.unit():
            item = await authors.update(made.id, {})
            await authors.update(made.id, {"age": item.age + 1})

    await asyncio.gather(*(older() for _ in range(10)))
    assert (await authors.get(made.id)).age == 10


async def test_the_store_opens_units(catalog: Database) -> None:
    async def fail() -> None:
        async with authors.unit():
            await authors.create({"name": "Ann"})
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await Author.aio.count() == 0


@pytest.mark.postgres
async def test_a_read_plan_follows_its_database(postgres_url: str) -> None:
    plan = samples.read_plan(samples.schema())
    assert plan is not None
    for address in (postgres_url, "sqlite://", postgres_url):
        catalog: Database = Sample.__database__
        catalog.connect(address)
        await catalog.create_all()
        try:
            for whole in (None, 1, None, 0):
                await samples.create({"whole": whole})
            page: Any = await plan.list(samples, ListQuery(page_size=9, order_by="whole"))
            assert [item.whole for item in page.items] == [0, 1, None, None]
        finally:
            await catalog.drop_all()
            await catalog.close()
