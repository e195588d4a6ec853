"""Write plans store what the ORM stores, in one statement."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import FetchedValue, Integer, String, event, func
from sqlalchemy.orm import Mapped, Session, mapped_column, validates

from bali import AlreadyExists, Database, NotFound, model_to_schema
from bali.database import SoftDelete
from bali.resources import Call, Collector, Context, ModelResource, Pipeline
from tests.database.kinds import FULL, EveryKind

db = Database()
POSTGRES = pytest.param("postgresql", marks=pytest.mark.postgres)
DIRECT = ["sqlite", "memory", POSTGRES]
OWN = {"id", "created_time", "updated_time"}


class Written(EveryKind, db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """A row with every kind of column."""

    __tablename__ = "written_rows"

    text: Mapped[str] = mapped_column(String(40), unique=True)
    code: Mapped[str] = mapped_column(String(40), default=lambda: "made")
    state: Mapped[str] = mapped_column(String(40), server_default="new")


class Note(db.BaseModel, SoftDelete):  # type: ignore[name-defined, misc]  # made at run time
    """A row of the kind that the short way is for."""

    __tablename__ = "written_notes"

    title: Mapped[str] = mapped_column(String(40), unique=True)
    stars: Mapped[int | None]


class NoteResource(ModelResource):
    """The generic actions over it."""

    model = Note


@pytest.fixture
async def tables(url: str) -> AsyncIterator[None]:
    db.connect(url)
    await db.create_all()
    yield
    await db.drop_all()
    await db.close()


def plan_of(model: Any) -> Any:
    """Return the write plan of a model."""
    return model.__store__.write_plan(model_to_schema(model))


async def call(name: str, resource: type[ModelResource] = NoteResource, **arguments: Any) -> Any:
    """Return what an action answers."""
    spec = Collector().collect(resource)
    action = spec.action(name)
    assert action is not None
    pipeline = Pipeline(units=[db.unit])
    return await pipeline.run(Call(spec=action, arguments=arguments, context=Context()))


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("backend", DIRECT)
@pytest.mark.parametrize(
    "values", [FULL, {"text": ""}, {"text": "x", "state": "old", "data": None}]
)
async def test_every_column_type_is_stored_as_the_orm_stores_it(values: dict[str, Any]) -> None:
    plan, store = plan_of(Written), Written.__store__
    made = await plan.create(values)
    expected = await store.create({**values, "text": "other"})
    schema = type(made)
    wanted = schema.model_validate(expected, from_attributes=True).model_dump()
    assert {**made.model_dump(exclude=OWN), "text": "other"} == {
        name: value for name, value in wanted.items() if name not in OWN
    }
    again = schema.model_validate(await Written.aio.get(made.id), from_attributes=True)
    assert made == again
    assert repr(made) == repr(again)
    assert made.code == "made"
    assert made.created_time.tzinfo is datetime.UTC


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("backend", DIRECT)
@pytest.mark.parametrize("name", sorted(FULL.keys() - {"data"}))
async def test_every_column_type_is_changed_as_the_orm_changes_it(name: str) -> None:
    plan, store = plan_of(Written), Written.__store__
    first, second = [await Written.aio.create(text=text) for text in ("a", "b")]
    value = {name: FULL[name]}
    changed = await plan.update(first.id, value)
    if name == "text":
        value = {name: "c"}
    expected = type(changed).model_validate(
        await store.update(second.id, value), from_attributes=True
    )
    leave = {*OWN, "text"}
    assert changed.model_dump(exclude=leave) == expected.model_dump(exclude=leave)
    assert changed.updated_time > first.updated_time
    kept = await plan.update(first.id, {name: FULL[name]})
    assert kept == changed  # nothing changed, so `updated_time` did not either


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("backend", DIRECT)
async def test_what_a_statement_cannot_do_is_left_to_the_orm() -> None:
    plan = plan_of(Written)
    item = await Written.aio.create(text="a")
    assert await plan.update(item.id, {"data": {"a": 1}}) is None  # JSON has no equality
    assert await plan.update(item.id, {}) is None
    assert await plan.update(item.id, {"id": 9}) is None
    assert await plan.update(2**40, {"number": 1}) is None
    assert await plan.update(item.id + 1, {"number": 1}) is None
    assert await plan.create({"text": "a"}) is None  # refused: the text is taken
    assert await Written.aio.count() == 1
    async with db.unit():
        assert await plan.create({"text": "b"}) is None  # it belongs to the transaction around it
        assert await plan.update(item.id, {"number": 1}) is None


@pytest.mark.usefixtures("tables")
async def test_the_actions_answer_alike_whichever_way_they_go() -> None:
    made = await call("create", note={"title": "one"})
    assert (made.title, made.stars, made.is_active) == ("one", None, True)
    changed = await call("update", id=made.id, note={"stars": 3})
    assert (changed.title, changed.stars) == ("one", 3)
    assert changed.created_time == made.created_time
    assert (await call("get", id=made.id)) == changed
    with pytest.raises(AlreadyExists) as caught:
        await call("create", note={"title": "one"})
    assert [error.field for error in caught.value.field_errors] == ["title"]
    with pytest.raises(NotFound):
        await call("update", id=made.id + 1, note={"stars": 3})
    await call("delete", id=made.id)
    with pytest.raises(Exception, match="deleted"):
        await call("update", id=made.id, note={"stars": 4})
    assert (await Note.aio.get(made.id)).stars == 3


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("backend", [POSTGRES])
async def test_each_action_is_one_message_to_the_database() -> None:
    asked: list[str] = []

    def connected(made: Any, _record: Any) -> None:
        made.driver_connection.add_query_logger(lambda record: asked.append(record.query))

    event.listen(db.engine.sync_engine, "connect", connected)
    await db.engine.dispose()  # connections that were there before
    made = await call("create", note={"title": "one"})
    calls: list[tuple[str, dict[str, Any]]] = [
        ("create", {"note": {"title": "two"}}),
        ("create", {"note": {"title": "three"}}),
        ("update", {"id": made.id, "note": {"stars": 5}}),
        ("update", {"id": made.id, "note": {"stars": 6}}),
        ("get", {"id": made.id}),
        ("get", {"id": made.id}),
        ("list", {"page_size": 5}),
        ("list", {"page_size": 5}),
    ]
    for number, (name, arguments) in enumerate(calls):
        asked.clear()
        await call(name, **arguments)
        await asyncio.sleep(0)  # asyncpg tells of them a step later
        if number % 2:  # the second time everything is known
            assert len(asked) == 1, (name, asked)


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("backend", ["sqlite"])
async def test_who_listens_to_sessions_is_heard() -> None:
    flushed: list[Any] = []

    def note(session: Any, *_: Any) -> None:
        flushed.extend(session.new)

    event.listen(Session, "before_flush", note)
    try:
        await call("create", note={"title": "one"})
    finally:
        event.remove(Session, "before_flush", note)
    assert [item.title for item in flushed] == ["one"]


def test_a_model_with_a_say_in_writing_takes_the_long_way() -> None:
    class Validated(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        name: Mapped[str]

        @validates("name")
        def upper(self, _key: str, value: str) -> str:
            return value.upper()

    class Made(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        name: Mapped[str]

        def __init__(self, **values: Any) -> None:
            super().__init__(**values)

    class Set(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        name: Mapped[str]

        def __setattr__(self, name: str, value: Any) -> None:
            super().__setattr__(name, value)

    class Versioned(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        version = mapped_column(Integer)
        __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's name

    class Derived(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        name: Mapped[str] = mapped_column(default=lambda context: context.current_parameters["x"])

    class Asked(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        name: Mapped[str] = mapped_column(default=func.now())

    class Kept(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        name: Mapped[str] = mapped_column(server_onupdate=FetchedValue())

    class Plain(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        name: Mapped[str]
        moment: Mapped[datetime.datetime]

    for model in (Validated, Made, Set, Versioned, Derived, Asked, Kept):
        assert plan_of(model) is None, model
    assert plan_of(Plain) is not None
    for target, name in ((Plain, "before_insert"), (Plain, "init"), (Plain.moment, "set")):

        def note(*_: Any) -> None:
            """Look on."""

        event.listen(target, name, note)
        assert plan_of(Plain) is None, name
        event.remove(target, name, note)
        assert plan_of(Plain) is not None, name


@pytest.mark.usefixtures("tables")
@pytest.mark.parametrize("backend", DIRECT)
async def test_columns_are_named_in_too_many_ways_to_be_kept(monkeypatch: Any) -> None:
    monkeypatch.setattr("bali.database.writes._MAX_STATEMENTS", 1)
    plan = plan_of(Written)
    made = await plan.create({"text": "a"})
    assert await plan.create({"text": "b", "state": "old"}) is None
    assert await plan.create({"text": "b", "number": 3}) is not None  # the same columns
    assert await plan.update(made.id, {"number": 1}) is not None
    assert await plan.update(made.id, {"real": 1.0}) is None
