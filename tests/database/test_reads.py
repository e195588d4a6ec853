"""Read plans give what the ORM gives, in one statement."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from pydantic import BaseModel, create_model
from sqlalchemy import Integer, String, TypeDecorator, event, func, text
from sqlalchemy.orm import Mapped, mapped_column

from bali import AllowAny, Bali, Database, Internal, NotFound, ValidationFailed, model_to_schema
from bali.database.reads import is_plain
from bali.database.types import UTCDateTime, gives_exact_values
from bali.proto import EncodeError
from bali.resources import Call, Collector, Context, ListQuery, ModelResource, Pipeline
from bali.schemas.rows import Rows
from tests.database.kinds import FULL, EveryKind
from tests.proto.samples import reply

db = Database()
POSTGRES = pytest.param("postgresql", marks=pytest.mark.postgres)


class Slug(str):
    """Text of somebody's own."""

    __slots__ = ()


class SlugType(TypeDecorator[str]):
    """Reads text as `Slug`."""

    impl = String
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else Slug(value)


class Literal(TypeDecorator[int]):
    """Reads 0 and 1 as False and True."""

    impl = Integer
    cache_ok = True

    def process_result_value(self, value: int | None, dialect: Any) -> int | None:
        return None if value is None else bool(value)


class Own(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """A row whose values are of classes that its fields do not name."""

    __tablename__ = "read_owns"

    slug: Mapped[str] = mapped_column(SlugType(40))
    is_lit: Mapped[int] = mapped_column(Literal)
    other: Mapped[str] = mapped_column(String(40).with_variant(SlugType(40), "sqlite"))


class OwnResource(ModelResource):
    """The generic actions over it."""

    model = Own
    permission_classes = (AllowAny,)


class Sample(EveryKind, db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """A row with every kind of column."""

    __tablename__ = "read_samples"

    text: Mapped[str] = mapped_column(String(40))


class Plain(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """A row of the kind that the short way is for."""

    __tablename__ = "read_plains"

    name: Mapped[str] = mapped_column(String(40))
    age: Mapped[int | None]


class Late(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """A row with moments that the database makes, or keeps as text."""

    __tablename__ = "read_lates"

    name: Mapped[str] = mapped_column(String(40))
    later: Mapped[datetime.datetime] = mapped_column(server_default=func.now())
    text_there: Mapped[datetime.datetime | None] = mapped_column(
        UTCDateTime().with_variant(String(40), "postgresql")
    )


class LateResource(ModelResource):
    """The generic actions over it."""

    model = Late
    permission_classes = (AllowAny,)


class PlainResource(ModelResource):
    """The generic actions over it."""

    model = Plain
    filters = ("age__gte",)


class HiddenResource(ModelResource):
    """The same without the age, which nobody is to know."""

    model = Plain
    schema = model_to_schema(Plain, exclude=["age"])


class ChangedResource(ModelResource):
    """The same with an action of its own."""

    model = Plain

    async def get(self, pk: Any) -> Any:
        """Change what is answered, and not what is stored."""
        item = await super().get(pk)
        return Plain(**{**item.to_dict(), "name": "changed"})


@pytest.fixture
async def samples(url: str) -> AsyncIterator[None]:
    db.connect(url)
    await db.create_all()
    yield
    await db.drop_all()
    await db.close()


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect the statements that reach the database."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    engine = db.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


def pipeline_of(resource: type[ModelResource]) -> tuple[Pipeline, Any]:
    spec = Collector().collect(resource)
    pipeline = Pipeline(units=[db.unit])
    for action in spec.actions:
        pipeline.prepare(action)
    return pipeline, spec


def page_model(schema: type[BaseModel]) -> Any:
    """Return the model of a page."""
    return create_model("Page", items=(list[schema], ...))  # type: ignore[valid-type]  # at run time


async def call(pipeline: Pipeline, spec: Any, name: str, **arguments: Any) -> Any:
    action = spec.action(name)
    return await pipeline.run(Call(spec=action, arguments=arguments, context=Context()))


@pytest.mark.usefixtures("samples")
async def test_every_column_type_is_read_as_the_orm_reads_it() -> None:
    full = await Sample.aio.create(**FULL)
    empty = await Sample.aio.create(text="")
    schema = model_to_schema(Sample)
    plan = Sample.__store__.read_plan(schema)
    assert plan is not None
    for item in (full, empty):
        stored = await Sample.aio.get(item.id)
        expected = schema.model_validate(stored, from_attributes=True)
        found = await plan.get(Sample.__store__, item.id)
        assert found == expected
        assert repr(found) == repr(expected)
        assert found.model_fields_set == expected.model_fields_set
    page = await plan.list(Sample.__store__, ListQuery(page_size=10))
    assert page is not None
    assert [item.model_dump() for item in page.items] == [
        schema.model_validate(item, from_attributes=True).model_dump()
        for item in (await Sample.__store__.list(ListQuery(page_size=10))).items
    ]


@pytest.mark.usefixtures("samples")
async def test_packed_moments_are_what_the_orm_reads(backend: str) -> None:
    await Sample.aio.create(**FULL)
    await Sample.aio.create(text="")
    if backend == "postgresql":
        for moment in ("-infinity", "infinity", "0001-01-01T00:00:00Z", "1969-12-31T23:59:59.9Z"):
            item = await Sample.aio.create(text=moment)
            change = text(f"UPDATE read_samples SET moment = '{moment}' WHERE id = {item.id}")
            async with db.unit() as unit:
                await unit.session.execute(change)
    store = Sample.__store__
    plan = store.read_plan(model_to_schema(Sample))
    assert plan is not None
    encode = reply(page_model(model_to_schema(Sample))).encode
    for order_by in ("", "moment desc", "-created_time"):
        query = ListQuery(page_size=10, order_by=order_by)
        plain, packed = await plan.list(store, query), await plan.list(store, query, packs=True)
        assert plain is not None
        assert packed is not None
        assert isinstance(packed.items, Rows)
        assert bool(packed.items.packed) is (backend == "postgresql" and not order_by)
        assert list(packed.items) == list(plain.items)
        assert packed.items[-1] == plain.items[-1]
        assert packed.items[1:] == plain.items[1:]
        assert packed.items.dicts() == plain.items.dicts()
        assert encode(packed) == encode(replace(plain, items=list(plain.items)))


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("protocol", ["local", "rest", "grpc", "connect", "grpc-web"])
async def test_moments_are_packed_for_messages_alone(backend: str, protocol: Any) -> None:
    await Plain.aio.create(name="one")
    pipeline, spec = pipeline_of(PlainResource)
    context = Context(protocol=protocol)
    with statements() as seen:
        await pipeline.run(Call(spec=spec.action("list"), arguments={}, context=context))
    is_packed = backend == "postgresql" and protocol not in ("local", "rest")
    assert ("timestamptz_send" in seen[0]) is is_packed


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("backend", [POSTGRES])
async def test_a_moment_that_no_datetime_holds_is_an_error_packed_or_not() -> None:
    await Plain.aio.create(name="late")
    async with db.unit() as unit:
        await unit.session.execute(text("UPDATE read_plains SET created_time = '20000-01-01Z'"))
    store = Plain.__store__
    schema = model_to_schema(Plain)
    plan = store.read_plan(schema)
    assert plan is not None
    with pytest.raises(OverflowError):
        await plan.list(store, ListQuery(page_size=5))
    packed = await plan.list(store, ListQuery(page_size=5), packs=True)
    with pytest.raises(EncodeError):
        reply(page_model(schema)).encode(packed)


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("backend", [POSTGRES])
async def test_a_row_that_cannot_be_read_back_is_stored_once() -> None:
    async with db.unit() as unit:
        late = "ALTER TABLE read_lates ALTER COLUMN later SET DEFAULT '20000-01-01Z'"
        await unit.session.execute(text(late))
    pipeline, spec = pipeline_of(LateResource)
    with pytest.raises(Internal):
        await call(pipeline, spec, "create", late={"name": "one"})
    assert await Late.aio.count() == 1


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("backend", [POSTGRES])
async def test_a_column_of_another_type_there_is_not_packed() -> None:
    await Late.aio.create(name="one", later=FULL["moment"])
    plan = Late.__store__.read_plan(model_to_schema(Late))
    assert plan is not None
    page = await plan.list(Late.__store__, ListQuery(page_size=5), packs=True)
    assert page is not None
    assert isinstance(page.items, Rows)
    names = [page.items.names[place] for place in page.items.packed]
    assert "later" in names
    assert "text_there" not in names


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize("packs", [False, True])
async def test_pages_in_the_order_of_moments_go_on(packs: bool) -> None:
    for n in range(5):
        await Plain.aio.create(name=f"n{n}")
    store = Plain.__store__
    plan = store.read_plan(model_to_schema(Plain))
    assert plan is not None
    seen, token = [], ""
    while True:
        query = ListQuery(page_size=2, order_by="created_time", page_token=token)
        page = await plan.list(store, query, packs=packs)
        assert page is not None
        seen += [item.name for item in page.items]
        token = page.next_page_token
        if not token:
            break
    assert seen == ["n0", "n1", "n2", "n3", "n4"]


@pytest.mark.usefixtures("samples")
async def test_pages_go_on_where_a_plan_stopped() -> None:
    async with db.unit():
        for n in range(7):
            await Plain.aio.create(name=f"n{n}", age=n % 3 or None)
    pipeline, spec = pipeline_of(PlainResource)
    for order_by in ("", "age desc", "age, name desc"):
        seen, token = [], ""
        while True:
            page = await call(
                pipeline, spec, "list", order_by=order_by, page_size=3, page_token=token
            )
            seen += [item.id for item in page.items]
            token = page.next_page_token
            if not token:
                break
        whole = await call(pipeline, spec, "list", order_by=order_by)
        assert seen == [item.id for item in whole.items]
        assert len(set(seen)) == 7
    filtered = await call(pipeline, spec, "list", age__gte=2, skip=1)
    assert [item.age for item in filtered.items] == [2]
    assert (await call(pipeline, spec, "list", with_total=True, page_size=1)).total == 7


@pytest.mark.usefixtures("samples")
async def test_later_pages_are_planned_like_the_first() -> None:
    for n in range(5):
        await Plain.aio.create(name="x" * n, age=n)
    store = Plain.__store__
    plan = store.read_plan(model_to_schema(Plain))
    assert plan is not None
    for order_by in ("", "age desc"):
        first = await plan.list(store, ListQuery(page_size=2, order_by=order_by))
        assert first is not None
        query = ListQuery(page_size=2, order_by=order_by, page_token=first.next_page_token)
        with statements() as seen:
            page = await plan.list(store, query)
        assert page is not None
        assert len(seen) == 1
        assert "OFFSET 2" not in seen[0]
        expected = await store.list(query)
        assert [item.id for item in page.items] == [item.id for item in expected.items]
        assert page.next_page_token == expected.next_page_token


@pytest.mark.usefixtures("samples")
async def test_a_get_and_a_list_are_one_statement_each() -> None:
    item = await Plain.aio.create(name="one")
    pipeline, spec = pipeline_of(PlainResource)
    for name, arguments in (("get", {"id": item.id}), ("list", {"page_size": 20})):
        with statements() as seen:
            await call(pipeline, spec, name, **arguments)
        assert len(seen) == 1
        assert seen[0].startswith("SELECT")


@pytest.mark.usefixtures("samples")
async def test_a_missing_key_is_not_found() -> None:
    pipeline, spec = pipeline_of(PlainResource)
    for key in (987654321, 2**40):
        with pytest.raises(NotFound, match=r"There is no Plain with the id"):
            await call(pipeline, spec, "get", id=key)


@pytest.mark.usefixtures("samples")
async def test_what_is_not_shown_cannot_be_sorted_by() -> None:
    await Plain.aio.create(name="one", age=41)
    pipeline, spec = pipeline_of(HiddenResource)
    for arguments in ({}, {"with_total": True}):
        with pytest.raises(ValidationFailed) as caught:
            await call(pipeline, spec, "list", order_by="age", **arguments)
        assert [item.field for item in caught.value.field_errors] == ["order_by"]
        assert "age" not in caught.value.field_errors[0].description.partition(";")[2]
    assert len((await call(pipeline, spec, "list", order_by="-name")).items) == 1


@pytest.mark.usefixtures("samples")
async def test_an_action_of_its_own_is_heard() -> None:
    item = await Plain.aio.create(name="one")
    pipeline, spec = pipeline_of(ChangedResource)
    assert (await call(pipeline, spec, "get", id=item.id)).name == "changed"


def test_a_schema_with_code_of_its_own_takes_the_long_way() -> None:
    schema = model_to_schema(Plain)

    class Own(schema):  # type: ignore[valid-type, misc]  # made at run time
        def shout(self) -> str:
            return str(self.name).upper()

    class Other(BaseModel):
        id: int

    assert is_plain(Plain, schema)
    assert not is_plain(Plain, Own)
    assert not is_plain(Plain, Other)
    assert not is_plain(Sample, schema)
    assert not is_plain(Plain, None)


def test_a_model_that_listens_to_loading_takes_the_long_way() -> None:
    class Heard(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
        __tablename__ = "read_heard"

    schema = model_to_schema(Heard)
    assert is_plain(Heard, schema)

    def loaded(_item: Any, _context: Any) -> None:
        """Look at an object."""

    event.listen(Heard, "load", loaded)
    assert not is_plain(Heard, schema)


def test_a_list_shows_values_of_other_classes_as_a_get_does(sqlite_url: str) -> None:
    db.connect(sqlite_url)
    app = Bali(title="own", resources=[OwnResource], databases=[db])
    with TestClient(app) as client:
        made = client.post("/owns", json={"slug": "a", "is_lit": 1, "other": "b"}).json()
        assert made["is_lit"] == 1
        one = client.get(f"/owns/{made['id']}")
        many = client.get("/owns")
    assert many.status_code == 200
    assert f'"items":[{one.text}]' in many.text


def test_whose_types_tell_the_class_of_their_values() -> None:
    for name in ("slug", "is_lit", "other"):
        assert not gives_exact_values(Own.__table__.c[name].type), name
    columns = [column for column in Sample.__table__.c if column.name != "id"]
    assert all(gives_exact_values(column.type) for column in columns)
