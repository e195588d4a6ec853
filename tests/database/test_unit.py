from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import weakref
from typing import Any

import pytest
from sqlalchemy import select, text

from bali.concurrency import run_in_thread
from bali.database import Database
from bali.errors import Aborted, AlreadyExists, BaliError, NotFound, Unavailable, ValidationFailed
from tests.database.catalog import Author, Tag, db


async def names() -> list[str]:
    return sorted(author.name for author in await Author.aio.all())


async def in_use(catalog: Database) -> int:
    """How many connections the pool has lent."""
    pool: Any = catalog.engine.sync_engine.pool
    return int(pool.checkedout())


class TestTheUnit:
    async def test_an_unused_unit_opens_nothing(self, catalog: Database) -> None:
        async with catalog.unit() as unit:
            assert catalog.current_unit is unit
            assert not unit.is_used
        assert unit.is_over
        assert catalog.current_unit is None

    async def test_it_commits_all_together(self, catalog: Database) -> None:
        async with catalog.unit() as unit:
            await Author.aio.create(name="a")
            await Author.aio.create(name="b")
            assert unit.is_used
            # Another task does not see it yet; in memory it would wait for the lock.
        assert await names() == ["a", "b"]
        assert await in_use(catalog) == 0

    async def test_an_error_undoes_all(self, catalog: Database) -> None:
        async def fail() -> None:
            async with catalog.unit():
                await Author.aio.create(name="a")
                await Author.aio.create(name="b")
                raise KeyError("mine")

        with pytest.raises(KeyError, match="mine"):
            await fail()
        assert await names() == []
        assert await in_use(catalog) == 0

    async def test_objects_stay_usable_afterwards(self, catalog: Database) -> None:
        async with catalog.unit():
            author = await Author.aio.create(name="a", age=3)
        assert (author.name, author.age, author.older()) == ("a", 3, 4)
        assert author.to_dict()["id"] == author.id

    async def test_a_unit_inside_is_the_one_around(self, catalog: Database) -> None:
        async with catalog.unit() as outer:
            async with catalog.unit() as inner:
                assert inner is outer
                await Author.aio.create(name="a")
            assert not outer.is_over
        assert await names() == ["a"]

    async def test_one_that_does_not_join_is_its_own(self, catalog: Database, backend: str) -> None:
        async def fail() -> None:
            async with catalog.unit() as outer:
                async with catalog.unit(joins=False) as inner:
                    assert inner is not outer
                    await Author.aio.create(name="kept")
                assert catalog.current_unit is outer
                await Author.aio.create(name="lost")
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert await names() == ["kept"]

    async def test_two_tasks_have_units_of_their_own(self, catalog: Database) -> None:
        ready = asyncio.Event()

        async def stores(name: str, *, fails: bool) -> None:
            async with catalog.unit():
                await ready.wait()
                await Author.aio.create(name=name)
                if fails:
                    raise KeyError(name)

        tasks = [asyncio.create_task(stores(f"n{n}", fails=n % 2 == 1)) for n in range(10)]
        ready.set()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), KeyError] * 5
        assert await names() == ["n0", "n2", "n4", "n6", "n8"]
        assert await in_use(catalog) == 0

    async def test_a_finished_unit_cannot_be_used(self, catalog: Database) -> None:
        async with catalog.unit() as unit:
            await Author.aio.create(name="a")
        with pytest.raises(RuntimeError, match="this unit of work is over"):
            _ = unit.session

    async def test_a_task_that_outlives_its_call_is_told(self, catalog: Database) -> None:
        go_on = asyncio.Event()

        async def later() -> list[str]:
            await go_on.wait()
            with pytest.raises(RuntimeError, match=r"async with db\.unit"):
                await Author.aio.create(name="lost")
            with pytest.raises(RuntimeError, match="over"):
                _ = catalog.session
            async with catalog.unit():
                await Author.aio.create(name="its own")
            async with catalog.transaction():
                await Author.aio.create(name="too")
            return await names()

        async with catalog.unit():
            task = asyncio.create_task(later())
            await Author.aio.create(name="call")
        go_on.set()
        with pytest.raises(RuntimeError, match="over"):
            await task
        assert await names() == ["call", "its own", "too"]

    async def test_outside_a_unit_there_is_no_session(self, catalog: Database) -> None:
        with pytest.raises(RuntimeError, match="none is open"):
            _ = catalog.session
        await catalog.commit()  # nothing to commit

    async def test_commit_in_the_middle_keeps_what_was(self, catalog: Database) -> None:
        async def fail() -> None:
            async with catalog.unit():
                await catalog.commit()
                await Author.aio.create(name="kept")
                await catalog.commit()
                assert await in_use(catalog) == 0
                await Author.aio.create(name="lost")
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert await names() == ["kept"]

    async def test_commit_inside_a_transaction_is_refused(self, catalog: Database) -> None:
        async with catalog.unit(), catalog.transaction():
            with pytest.raises(RuntimeError, match="leave the transaction first"):
                await catalog.commit()

    async def test_the_session_is_sqlalchemy_s_own(self, catalog: Database) -> None:
        async with catalog.unit():
            catalog.session.add(Author(name="a"))
            found = await catalog.session.scalar(text("SELECT count(*) FROM catalog_authors"))
            assert found == 1
            assert await Author.aio.count() == 1
        assert await names() == ["a"]

    async def test_an_error_of_the_session_is_ours_outside(self, catalog: Database) -> None:
        await Author.aio.create(name="a")

        async def fail() -> None:
            async with catalog.unit():
                catalog.session.add(Author(name="a"))
                await catalog.session.flush()

        with pytest.raises(AlreadyExists):
            await fail()

        async def fail_at_the_end() -> None:
            async with catalog.unit():
                catalog.session.add(Author(name="a"))

        with pytest.raises(AlreadyExists):
            await fail_at_the_end()
        assert await in_use(catalog) == 0

    async def test_errors_that_are_no_database_s_pass(self, catalog: Database) -> None:
        for error in (FileNotFoundError(2, "no file"), TimeoutError(), OSError(5, "io")):

            async def fail(error: Exception = error) -> None:
                async with catalog.unit():
                    await Author.aio.count()
                    raise error

            with pytest.raises(type(error)) as caught:
                await fail()
            assert caught.value is error


class TestCancellation:
    async def test_it_undoes_all(self, catalog: Database) -> None:
        stored = asyncio.Event()

        async def work() -> None:
            async with catalog.unit():
                await Author.aio.create(name="a")
                stored.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(work())
        await stored.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await names() == []
        assert await in_use(catalog) == 0

    async def test_a_commit_under_way_is_finished(self, catalog: Database) -> None:
        async def work() -> None:
            async with catalog.unit():
                await Author.aio.create(name=f"n{number}")

        committed = 0
        for number in range(30):
            task = asyncio.create_task(work())
            for _ in range(number):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            committed += not task.cancelled()
            assert await in_use(catalog) == 0
        found = await names()
        assert len(found) >= committed
        assert len(set(found)) == len(found)

    @pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
    async def test_a_statement_that_ran_out_of_time_spoils_what_was_written(
        self, catalog: Database
    ) -> None:
        async def work() -> None:
            async with catalog.unit():
                await Author.aio.create(name="a")
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await catalog.session.execute(text("SELECT pg_sleep(10)"))

        with pytest.raises(BaliError) as caught:
            await work()
        assert isinstance(caught.value, Aborted)
        assert await names() == []
        assert await in_use(catalog) == 0

    @pytest.mark.postgres
    async def test_the_query_ends_on_the_server(self, postgres_url: str) -> None:
        db.connect(postgres_url)

        async def work() -> None:
            async with db.unit():
                await db.session.execute(text("SELECT pg_sleep(60), 'find me'"))

        async def running() -> int:
            query = text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND "
                "state = 'active' AND query LIKE '%find me%' AND pid <> pg_backend_pid()"
            )
            async with db.unit(joins=False):
                return int(await db.session.scalar(query) or 0)

        async def until(wanted: int) -> None:
            async with asyncio.timeout(30):
                while await running() != wanted:  # noqa: ASYNC110 - the server tells nobody
                    await asyncio.sleep(0.01)

        task = asyncio.create_task(work())
        await until(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(0)
        assert await in_use(db) == 0
        await db.close()


class TestTransactions:
    async def test_inside_a_unit_it_is_a_savepoint(self, catalog: Database) -> None:
        async def fail() -> None:
            async with catalog.transaction():
                await Author.aio.create(name="lost")
                raise KeyError

        async with catalog.unit():
            await Author.aio.create(name="before")
            with pytest.raises(KeyError):
                await fail()
            await Author.aio.create(name="after")
            async with catalog.transaction():
                await Author.aio.create(name="kept")
        assert await names() == ["after", "before", "kept"]

    async def test_as_the_first_thing_of_a_unit(self, catalog: Database) -> None:
        async def fail() -> None:
            async with catalog.unit():
                async with catalog.transaction():
                    await Author.aio.create(name="inner")
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert await names() == []

    async def test_they_nest(self, catalog: Database) -> None:
        async with catalog.unit(), catalog.transaction():
            await Author.aio.create(name="1")
            with contextlib.suppress(KeyError):
                async with catalog.transaction():
                    await Author.aio.create(name="2")
                    async with catalog.transaction():
                        await Author.aio.create(name="3")
                    raise KeyError
            await Author.aio.create(name="4")
        assert await names() == ["1", "4"]

    async def test_outside_a_unit_it_is_one(self, catalog: Database) -> None:
        async def fail() -> None:
            async with catalog.transaction() as session:
                session.add(Author(name="lost"))
                await Author.aio.create(name="too")
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        async with catalog.transaction():
            await Author.aio.create(name="kept")
        assert await names() == ["kept"]
        assert catalog.current_unit is None

    async def test_a_failure_harms_no_later_work(self, catalog: Database) -> None:
        for number in range(5):
            with contextlib.suppress(KeyError):
                async with catalog.transaction():
                    await Author.aio.create(name=f"lost{number}")
                    raise KeyError
        for number in range(20):
            await Author.aio.create(name=f"kept{number}")
        assert len(await names()) == 20

    async def test_its_errors_are_ours(self, catalog: Database) -> None:
        await Author.aio.create(name="a")
        async with catalog.unit():
            with pytest.raises(AlreadyExists):
                async with catalog.transaction() as session:
                    session.add(Author(name="a"))

            async def flush() -> None:
                async with catalog.transaction() as session:
                    session.add(Author(name="a"))
                    await session.flush()

            with pytest.raises(AlreadyExists):
                await flush()
            await Author.aio.create(name="b")
        assert await names() == ["a", "b"]

    async def test_tasks_of_one_unit_take_turns(self, catalog: Database) -> None:
        async def stores(number: int) -> None:
            async with catalog.transaction():
                await Author.aio.create(name=f"t{number}")
                await asyncio.sleep(0)
                if number % 2:
                    raise KeyError(number)
                await Author.aio.create(name=f"u{number}")

        async with catalog.unit():
            results = await asyncio.gather(
                *(stores(number) for number in range(6)),
                *(Author.aio.create(name=f"plain{number}") for number in range(6)),
                return_exceptions=True,
            )
        assert [type(result) for result in results[:6]] == [type(None), KeyError] * 3
        assert await names() == sorted(
            [f"plain{n}" for n in range(6)] + [f"{c}{n}" for n in (0, 2, 4) for c in "tu"]
        )

    async def test_one_left_open_is_not_committed(self, catalog: Database) -> None:
        inside, leave = asyncio.Event(), asyncio.Event()

        async def slow() -> None:
            async with catalog.transaction():
                await Author.aio.create(name="half")
                inside.set()
                await leave.wait()

        async def call() -> asyncio.Task[None]:
            async with catalog.unit():
                task = asyncio.create_task(slow())
                await inside.wait()
                tasks.append(task)
                return task

        tasks: list[asyncio.Task[None]] = []
        with pytest.raises(RuntimeError, match="still inside"):
            await call()
        leave.set()
        with pytest.raises(RuntimeError, match="over"):
            await tasks[0]
        assert await names() == []
        assert await in_use(catalog) == 0


class TestFailuresThatAreCaught:
    """PostgreSQL stores nothing after a failed statement, and COMMIT does not say so."""

    async def test_a_unit_goes_on_after_a_failed_create(self, catalog: Database) -> None:
        await Author.aio.create(name="a")
        async with catalog.unit():
            with pytest.raises(AlreadyExists):
                await Author.aio.create(name="a")
            await Author.aio.create(name="b")
            first = await Author.aio.first_or_error(name="a")
            with pytest.raises(AlreadyExists):
                await Author.aio.create(name="a")
            assert first.name == "a"  # still there
            with pytest.raises(AlreadyExists):
                await Author.__store__.update(first.id, {"name": "b"})
            with pytest.raises(NotFound):
                await Author.__store__.delete(12345)
            await Author.aio.create(name="c")
        assert await names() == ["a", "b", "c"]

    async def test_a_failed_statement_in_between_is_never_hidden(self, catalog: Database) -> None:
        async def work() -> None:
            async with catalog.unit():
                await Author.aio.create(name="a")
                with contextlib.suppress(Exception):
                    await catalog.session.execute(text("SELECT * FROM no_such_table"))

        with pytest.raises(Aborted):
            await work()
        assert await names() == []
        await Author.aio.create(name="b")
        assert await names() == ["b"]

    async def test_nor_is_a_failed_flush(self, catalog: Database) -> None:
        await Author.aio.create(name="a")

        async def work() -> None:
            async with catalog.unit():
                await Author.aio.create(name="b")
                catalog.session.add(Author(name="a"))
                with contextlib.suppress(Exception):
                    await catalog.session.flush()

        with pytest.raises(BaliError):
            await work()
        assert await names() == ["a"]

    async def test_later_operations_tell_the_reason(self, catalog: Database) -> None:
        await Author.aio.create(name="a")

        async def work() -> None:
            async with catalog.unit():
                await Author.aio.create(name="b")
                catalog.session.add(Author(name="a"))
                with contextlib.suppress(Exception):
                    await catalog.session.flush()
                await Author.aio.create(name="c")

        with pytest.raises(AlreadyExists):
            await work()
        assert await names() == ["a"]

    async def test_a_savepoint_undoes_the_failure(self, catalog: Database) -> None:
        async with catalog.unit():
            await Author.aio.create(name="a")
            with contextlib.suppress(Exception):
                async with catalog.transaction():
                    await catalog.session.execute(text("SELECT * FROM no_such_table"))
            await Author.aio.create(name="b")
        assert await names() == ["a", "b"]

    async def test_reading_goes_on_after_a_failure(self, catalog: Database) -> None:
        await Author.aio.create(name="a")
        async with catalog.unit():
            assert await Author.aio.count() == 1
            with contextlib.suppress(Exception):
                await Author.aio.all(select(Author).where(text("no_such_function(1) = 1")))
            assert await Author.aio.count() == 1

    @pytest.mark.parametrize("backend", ["postgresql", "mariadb"], indirect=True)
    async def test_a_deadlock_ends_the_unit(self, catalog: Database) -> None:
        made = [await Author.aio.create(name=name, age=0) for name in "ab"]
        met = asyncio.Barrier(2)

        async def work(first: int, second: int) -> None:
            async with catalog.unit():
                await Author.__store__.update(made[first].id, {"age": 1})
                await met.wait()
                with contextlib.suppress(Aborted):
                    await Author.__store__.update(made[second].id, {"age": 2})

        results = await asyncio.gather(work(0, 1), work(1, 0), return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == ["Aborted", "NoneType"]
        ages = [author.age for author in await Author.aio.filter(order_by="name")]
        assert sorted(ages) == [1, 2]

    @pytest.mark.parametrize("backend", ["postgresql", "mariadb"], indirect=True)
    async def test_a_lost_connection_is_replaced(self, catalog: Database, backend: str) -> None:
        await Author.aio.create(name="a")

        async def kill_all() -> None:
            own, everybody, kill = (
                (
                    "SELECT pg_backend_pid()",
                    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()",
                    "SELECT pg_terminate_backend({})",
                )
                if backend == "postgresql"
                else (
                    "SELECT connection_id()",
                    "SELECT id FROM information_schema.processlist WHERE db = database()",
                    "KILL {}",
                )
            )
            async with catalog.engine.connect() as connection:
                me = (await connection.execute(text(own))).scalar()
                others = (await connection.execute(text(everybody))).scalars().all()
                for other in others:
                    if other != me:
                        await connection.execute(text(kill.format(other)))

        async with catalog.unit():  # so that there are two connections
            await Author.aio.count()
            async with catalog.unit(joins=False):
                await Author.aio.count()
        await kill_all()
        for number in range(3):
            await Author.aio.create(name=f"n{number}")
        assert await names() == ["a", "n0", "n1", "n2"]

        async def interrupted() -> None:
            async with catalog.unit():
                await Author.aio.create(name="lost")
                await kill_all()
                with contextlib.suppress(Unavailable):
                    await Author.aio.create(name="lost too")

        with pytest.raises(Unavailable):
            await interrupted()

        async def interrupted_inside() -> None:
            async with catalog.unit():
                await Author.aio.create(name="lost")
                with contextlib.suppress(Unavailable):
                    async with catalog.transaction():
                        await kill_all()
                        await Author.aio.create(name="lost too")
                with pytest.raises(Unavailable):
                    async with catalog.transaction():
                        pass
                with pytest.raises(Unavailable):
                    await Author.aio.count()

        with pytest.raises(Unavailable):
            await interrupted_inside()
        assert await names() == ["a", "n0", "n1", "n2"]
        assert await in_use(catalog) == 0

    @pytest.mark.parametrize("backend", ["postgresql"], indirect=True)
    async def test_a_commit_that_never_ends_is_given_up(
        self, catalog: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with catalog.unit():
            function = (
                "CREATE FUNCTION nap() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN PERFORM pg_sleep(10); RETURN NULL; END $$"
            )
            trigger = (
                "CREATE CONSTRAINT TRIGGER nap AFTER INSERT ON catalog_tags "
                "DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nap()"
            )
            await catalog.session.execute(text(function))
            await catalog.session.execute(text(trigger))
        try:
            with monkeypatch.context() as patch:
                patch.setattr("bali.database.unit._END_SECONDS", 0.1)
                with pytest.raises(Unavailable, match="did not confirm"):
                    await Tag.aio.create(slug="slow")
            assert await in_use(catalog) == 0
        finally:
            async with catalog.unit():
                await catalog.session.execute(text("DROP TRIGGER nap ON catalog_tags"))
                await catalog.session.execute(text("DROP FUNCTION nap"))
        assert await Tag.aio.count() == 0


class TestPools:
    async def test_a_full_pool_is_unavailable(self, url: str, backend: str) -> None:
        database = Database(url, pool_size=1, max_overflow=0, pool_timeout=0.1)
        held, leave = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with database.unit():
                await database.session.execute(text("SELECT 1"))
                held.set()
                await leave.wait()

        task = asyncio.create_task(hold())
        await held.wait()
        with pytest.raises(Unavailable) as caught:
            await database.run(lambda session: session.execute(text("SELECT 1")))
        assert caught.value.reason == "POOL_EXHAUSTED"
        assert caught.value.retry_after_seconds == 1.0
        leave.set()
        await task
        await database.ping()
        await database.close()


class TestThreads:
    async def test_a_blocking_action_shares_the_unit(self, catalog: Database) -> None:
        def action() -> int:
            Author.io.create(name="thread")
            return int(Author.io.count())

        async def fail() -> None:
            async with catalog.unit():
                await Author.aio.create(name="task")
                assert await run_in_thread(action) == 2
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert await names() == []
        async with catalog.unit():
            await run_in_thread(action)
        assert await names() == ["thread"]

    async def test_transactions_in_a_thread_are_savepoints(self, catalog: Database) -> None:
        def action() -> None:
            Author.io.create(name="1")
            with contextlib.suppress(KeyError), catalog.transaction():
                Author.io.create(name="lost")
                with catalog.transaction():
                    Author.io.create(name="lost too")
                raise KeyError
            with catalog.transaction():
                Author.io.create(name="2")
            with pytest.raises(AlreadyExists), catalog.transaction():
                Author.io.create(name="2")
            Author.io.create(name="3")

        async with catalog.unit():
            await run_in_thread(action)
        assert await names() == ["1", "2", "3"]

    async def test_a_thread_without_a_unit_has_one_for_each_call(self, catalog: Database) -> None:
        def action() -> None:
            Author.io.create(name="a")
            with contextlib.suppress(KeyError), catalog.transaction():
                Author.io.create(name="lost")
                raise KeyError
            with catalog.transaction():
                Author.io.create(name="b")

        await run_in_thread(action)
        assert await names() == ["a", "b"]

    async def test_a_cancelled_thread_lets_the_unit_end(self, catalog: Database) -> None:
        inside = asyncio.Event()
        loop = asyncio.get_running_loop()
        leave = threading.Event()

        def action() -> None:
            with catalog.transaction():
                Author.io.create(name="lost")
                loop.call_soon_threadsafe(inside.set)
                leave.wait(10)
                Author.io.create(name="lost too")

        async def call() -> None:
            async with catalog.unit():
                await run_in_thread(action)

        task = asyncio.create_task(call())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        leave.set()
        assert await names() == []
        assert await in_use(catalog) == 0

    async def test_blocking_in_the_loop_is_refused(self, catalog: Database) -> None:
        with pytest.raises(RuntimeError, match="inside an event loop"):
            Author.io.count()
        with (
            pytest.raises(RuntimeError, match=r"async with db\.transaction"),
            catalog.transaction(),
        ):
            pass
        with pytest.raises(RuntimeError, match="inside an event loop"):
            Author(name="a").save()
        with pytest.raises(RuntimeError, match="inside an event loop"):
            Author.count()


def test_a_script_works_without_a_loop(url: str) -> None:
    db.connect(url)
    db.create_all()
    try:
        author = Author(name="a")
        assert author.save() is author
        with contextlib.suppress(KeyError), db.transaction():
            Author.io.create(name="lost")
            raise KeyError
        with db.transaction():
            Author.io.create(name="b")
        assert sorted(item.name for item in Author.io.all()) == ["a", "b"]
        author.delete()
        assert Author.count() == 1
        with pytest.raises(ValidationFailed):
            Author.create(name=None)
    finally:
        db.drop_all()


async def test_a_unit_that_nobody_used_leaves_nothing_for_the_collector() -> None:
    database = Database("sqlite://")
    gc.collect()
    gc.disable()
    try:
        async with database.unit() as unit:
            seen = weakref.ref(unit)
        del unit
        assert seen() is None
    finally:
        gc.enable()
