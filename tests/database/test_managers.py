from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from bali.concurrency import run_in_thread
from bali.database import Database
from bali.errors import AlreadyExists, ConfigurationError, NotFound
from tests.database.catalog import Author, Book, Device


@pytest.fixture
async def people(catalog: Database) -> Database:
    async with catalog.unit():
        for name, age in (("Ann", 30), ("Bob", 20), ("Cid", None)):
            await Author.aio.create(name=name, age=age)
    return catalog


class TestReading:
    async def test_one_object(self, people: Database) -> None:
        ann = await Author.aio.first_or_error(name="Ann")
        assert (await Author.aio.get(ann.id)).name == "Ann"
        assert await Author.aio.get(10_000) is None
        assert (await Author.aio.first(age__lt=25)).name == "Bob"
        assert (await Author.aio.first(Author.age > 25)).name == "Ann"
        assert (await Author.aio.first()).name == "Ann"
        assert await Author.aio.first(name="nobody") is None
        with pytest.raises(NotFound) as caught:
            await Author.aio.first_or_error(name="nobody")
        assert caught.value.resource_type == "Author"

    async def test_many_objects(self, people: Database) -> None:
        def names(found: Any) -> list[str]:
            return [item.name for item in found]

        assert names(await Author.aio.all()) == ["Ann", "Bob", "Cid"]
        assert names(await Author.aio.filter(order_by="-age")) == ["Cid", "Ann", "Bob"]
        assert names(await Author.aio.list(age__gte=20, order_by="age", limit=1)) == ["Bob"]
        assert names(await Author.aio.filter(order_by="name", offset=1, limit=5)) == ["Bob", "Cid"]
        assert names(await Author.aio.all(select(Author).where(Author.age == 20))) == ["Bob"]
        assert names(await Author.aio.all(Author.aio.query(age=30))) == ["Ann"]

    async def test_how_many(self, people: Database) -> None:
        assert await Author.aio.count() == 3
        assert await Author.aio.count(age__isnull=False) == 2
        assert await Author.aio.exists(name="Ann")
        assert not await Author.aio.exists(name="nobody")

    async def test_an_unknown_filter_is_refused(self, people: Database) -> None:
        with pytest.raises(ConfigurationError):
            await Author.aio.first(nobody=1)


class TestWriting:
    async def test_create_and_save(self, catalog: Database) -> None:
        author = await Author.aio.create(name="Ann")
        former = author.updated_time
        assert author.created_time.tzinfo is not None
        assert author.is_active is True
        author.name = "Anna"
        assert await author.aio.save() is author
        assert author.updated_time > former
        again = await Author.aio.first_or_error(name="Anna")
        assert again.id == author.id
        assert again is not author

    async def test_what_the_database_sets_is_there(self, catalog: Database) -> None:
        device = await Device.aio.create()
        assert (device.count, device.double) == (7, 14)
        device.count = 9
        await device.aio.save()
        assert device.double == 18

    async def test_a_second_copy_of_a_row_is_saved(self, people: Database) -> None:
        outside = await Author.aio.first_or_error(name="Ann")
        outside.age = 31
        async with people.unit():
            inside = await Author.aio.first_or_error(name="Ann")
            await outside.aio.save()
            assert inside is not outside
            assert (await Author.aio.first_or_error(name="Ann")).age == 31
        assert (await Author.aio.first_or_error(name="Ann")).age == 31

    async def test_an_object_of_an_open_unit_stays_there(self, people: Database) -> None:
        async with people.unit():
            ann = await Author.aio.first_or_error(name="Ann")
            async with people.unit(joins=False):
                with pytest.raises(RuntimeError, match="another unit of work"):
                    await ann.aio.save()

    async def test_delete(self, people: Database) -> None:
        ann = await Author.aio.first_or_error(name="Ann")
        await ann.aio.delete()
        assert not await Author.aio.exists(name="Ann")
        with pytest.raises(NotFound):
            await ann.aio.delete()
        with pytest.raises(NotFound):
            await Author(name="new").aio.delete()
        async with people.unit():
            bob = await Author.aio.first_or_error(name="Bob")
            await bob.aio.delete()
            assert await Author.aio.count() == 1

    async def test_get_or_create(self, people: Database) -> None:
        ann, made = await Author.aio.get_or_create(name="Ann", defaults={"age": 99})
        assert (ann.age, made) == (30, False)
        dan, made = await Author.aio.get_or_create(name="Dan", defaults={"age": 40})
        assert (dan.age, made) == (40, True)
        assert (await Author.aio.create_or_first(name="Dan")).id == dan.id
        await Author.aio.create(name="Eve", email="e@x")
        with pytest.raises(AlreadyExists):
            await Author.aio.get_or_create(email="other", defaults={"name": "Eve"})

    async def test_update_or_create(self, people: Database) -> None:
        ann, made = await Author.aio.update_or_create(name="Ann", defaults={"age": 31})
        assert (ann.age, made) == (31, False)
        _, made = await Author.aio.update_or_create(name="Dan", defaults={"age": 1})
        assert made
        assert await Author.aio.count(age__in=[31, 1]) == 2

    async def test_at_once_one_makes_it(self, catalog: Database) -> None:
        results = await asyncio.gather(
            *(Author.aio.get_or_create(name="Ann") for _ in range(10)),
            *(Author.aio.create_or_first(name="Ann") for _ in range(5)),
        )
        assert await Author.aio.count() == 1
        assert sum(1 for result in results[:10] if result[1]) <= 1

    async def test_in_a_unit_another_s_is_seen(self, catalog: Database) -> None:
        async with catalog.unit():
            assert not await Author.aio.exists(name="Ann")
            async with catalog.unit(joins=False):
                await Author.aio.create(name="Ann")
            _, made = await Author.aio.get_or_create(name="Ann")
            assert not made


class TestBlocking:
    async def test_the_same_methods(self, people: Database) -> None:
        def action() -> None:
            ann = Author.io.first_or_error(name="Ann")
            assert Author.io.get(ann.id) is not None
            assert Author.io.first(name="nobody") is None
            assert [item.name for item in Author.io.filter(order_by="-name", limit=1)] == ["Cid"]
            assert len(Author.io.list()) == len(Author.io.all()) == Author.io.count() == 3
            assert Author.io.exists(name="Bob")
            made = Author.io.create(name="Dan")
            made.age = 5
            made.io.save()
            assert Author.io.get_or_create(name="Dan")[0].age == 5
            assert Author.io.create_or_first(name="Dan").age == 5
            assert Author.io.update_or_create(name="Dan", defaults={"age": 6})[0].age == 6
            Author.io.first_or_error(name="Dan").io.delete()
            assert not Author.io.exists(name="Dan")

        await run_in_thread(action)
        async with people.unit():
            await run_in_thread(action)

    async def test_the_names_of_the_first_bali(self, people: Database) -> None:
        def action() -> None:
            assert Author.first(name="Ann").name == "Ann"
            assert Author.first_or_error(name="Ann").name == "Ann"
            assert Author.exists(name="Ann")
            assert Author.count() == 3
            assert Author.create(name="Dan").save().name == "Dan"
            assert Author.create_or_first(name="Dan").name == "Dan"
            assert Author.get_or_create({"age": 1}, name="Dan")[1] is False
            assert Author.update_or_create({"age": 1}, name="Dan")[0].age == 1
            assert [item.name for item in Author.query().filter_by(age=1)] == ["Dan"]
            assert Author.query().filter(Author.age > 20).first().name == "Ann"
            Author.first(name="Dan").delete()
            assert "created_time" in Author.get_fields()

        await run_in_thread(action)

    async def test_an_object_as_a_dict(self, people: Database) -> None:
        ann = await Author.aio.first_or_error(name="Ann")
        assert ann.to_dict() == ann.dict()
        assert list(ann.to_dict()) == Author.get_fields()
        assert ann.to_dict()["age"] == 30
        assert "isbn" in Book.get_fields()
