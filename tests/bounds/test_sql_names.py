"""No text of a caller is ever part of a statement: names are looked up, values are bound."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import String, event, text
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Mapped, mapped_column

from bali import Bali, Database, ModelResource, Resource, action, model_to_schema
from bali.errors import BaliError, Code
from bali.settings import Settings, Stage
from bali.testing import LiveServer, RestServiceClient, RpcServiceClient, live_server

db = Database()


class Word(db.BaseModel):  # type: ignore[name-defined, misc]  # made at run time
    """Something to be sorted and filtered."""

    __tablename__ = "bounds_words"

    label: Mapped[str] = mapped_column(String(50))
    note: Mapped[str | None] = mapped_column(String(200))
    rank: Mapped[int] = mapped_column(default=0)


class WordResource(ModelResource):
    """Words."""

    model = Word
    schema = model_to_schema(Word)
    filters = (
        "label",
        "label__ne",
        "label__in",
        "label__like",
        "label__ilike",
        "label__startswith",
        "label__istartswith",
        "label__endswith",
        "label__contains",
        "note__between",
        "rank__gte",
    )


class RawResource(Resource):
    """What nobody should write."""

    @action()
    async def sort(self, order_by: str) -> int:
        """Put a caller's text into a statement."""
        statement = text(f"SELECT id FROM bounds_words ORDER BY {order_by}")
        return len((await db.session.execute(statement)).all())


class Statements:
    """The text of every statement that reaches the database."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def note(self, *event_arguments: Any) -> None:
        self.seen.append(event_arguments[2])

    def holding(self, mark: str) -> list[str]:
        return [statement for statement in self.seen if mark in statement.lower()]


@pytest.fixture
def statements() -> Iterator[Statements]:
    found = Statements()
    event.listen(Engine, "before_cursor_execute", found.note)
    yield found
    event.remove(Engine, "before_cursor_execute", found.note)


@pytest.fixture(scope="module", params=["sqlite", "postgres", "mariadb"])
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path_factory.mktemp('names') / 'db.sqlite3'}"
    else:
        url = request.getfixturevalue(f"{request.param}_url")
    db.connect(url)
    app = Bali(
        title="words",
        resources=[WordResource, RawResource],
        databases=[db],
        settings=Settings(stage=Stage.TEST),
    )
    with live_server(app) as server:
        yield server


@pytest.fixture(scope="module")
def clients(live: LiveServer) -> Iterator[list[Any]]:
    made = [RestServiceClient(live), RpcServiceClient(live)]
    made[0].call("words.create", {"word": {"label": "first"}})
    yield made
    for client in made:
        client.close()


#: Every caller's text holds it, and no name of ours does.
MARK = "zq7x"
attacks = st.sampled_from(
    [
        "id; DROP TABLE bounds_words",
        "id, (SELECT 1)",
        "id) --",
        "CASE WHEN 1=1 THEN id ELSE label END",
        "1",
        "label COLLATE binary",
        "id desc nulls first",
        "id/**/desc",
        "bounds_words.id",
        "' OR '1'='1",
        '"',
        "\\",
        "%s",
        ":label",
        "{0}",
        "$1",
        "?",
        "__class__",
        "metadata",
        "label__in",
        "-",
        ",",
    ]
)
noise = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
texts = st.builds(
    lambda before, attack, after: f"{before}{MARK}{attack}{after}", noise, attacks | noise, noise
)
FORMS = ["{}", "{} = 1", "label = {}", "label != {}*", "note:{}", "-{}", "rank > {}", "f({})"]
QUIET = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


def call(client: Any, operation: str, arguments: dict[str, Any]) -> Code:
    """Call and return the code; anything that is not the caller's fault is one of ours."""
    try:
        client.call(operation, arguments)
    except BaliError as error:
        return error.code
    return Code.OK


@QUIET
@given(order_by=texts)
def test_names_to_sort_by_never_reach_the_database(
    clients: list[Any], statements: Statements, order_by: str
) -> None:
    for client in clients:
        for name in ("order_by", "ordering"):
            statements.seen.clear()
            if name == "ordering" and not isinstance(client, RestServiceClient):
                continue  # a message has the present name only
            code = call(client, "words.list", {name: order_by})
            assert code is Code.INVALID_ARGUMENT
            assert statements.holding(MARK) == []


@QUIET
@given(name=st.sampled_from(WordResource.filters), value=texts)
def test_values_to_filter_by_are_bound(
    clients: list[Any], statements: Statements, name: str, value: str
) -> None:
    sent: Any = [value, value] if name.endswith(("__in", "__between")) else value
    for client in clients:
        if name == "rank__gte" and not isinstance(client, RestServiceClient):
            continue  # a message cannot hold text there
        statements.seen.clear()
        code = call(client, "words.list", {name: sent})
        assert code in (Code.OK, Code.INVALID_ARGUMENT)
        assert (code is Code.OK) == (name != "rank__gte")
        assert statements.holding(MARK) == []
        assert bool(statements.seen) == (code is Code.OK)


@QUIET
@given(value=texts, form=st.sampled_from(FORMS))
def test_the_language_of_filters_never_reaches_the_database(
    clients: list[Any], statements: Statements, value: str, form: str
) -> None:
    escaped = "".join(f"\\{char}" if char in '\\"' else char for char in value)
    for condition in (form.format(value), form.format(f'"{escaped}"')):
        for client in clients:
            statements.seen.clear()
            code = call(client, "words.list", {"filter": condition})
            assert code in (Code.OK, Code.INVALID_ARGUMENT)
            assert statements.holding(MARK) == []
            assert bool(statements.seen) == (code is Code.OK)


@QUIET
@given(name=texts, token=texts)
def test_unknown_filters_and_forged_tokens_never_reach_the_database(
    clients: list[Any], statements: Statements, name: str, token: str
) -> None:
    statements.seen.clear()
    assert call(clients[0], "words.list", {name: "1"}) is Code.INVALID_ARGUMENT
    for client in clients:
        assert call(client, "words.list", {"page_token": token}) is Code.INVALID_ARGUMENT
    assert statements.holding(MARK) == []


@QUIET
@given(name=texts, value=texts)
def test_names_of_masks_and_fields_never_reach_the_database(
    clients: list[Any], statements: Statements, name: str, value: str
) -> None:
    statements.seen.clear()
    rest = clients[0]
    for client in clients:
        code = call(client, "words.update", {"id": 1, "update_mask": [name], "word": {"rank": 1}})
        assert code is Code.INVALID_ARGUMENT
        code = call(client, "words.update", {"id": 1, "word": {"note": value}})
        assert code is Code.OK
    assert call(rest, "words.update", {"id": 1, "word": {name: 1}}) is Code.INVALID_ARGUMENT
    assert call(rest, "words.create", {"word": {"label": "a", name: 1}}) is Code.INVALID_ARGUMENT
    assert statements.holding(MARK) == []


def test_what_is_allowed_gets_through(clients: list[Any], statements: Statements) -> None:
    for client in clients:
        statements.seen.clear()
        assert call(client, "words.list", {"order_by": "rank desc, label"}) is Code.OK
        ordered = re.compile(r"order by .*rank.* desc.*label", re.IGNORECASE | re.DOTALL)
        assert any(ordered.search(statement) for statement in statements.seen)


def test_the_test_sees_a_statement_with_a_caller_s_text(
    clients: list[Any], statements: Statements
) -> None:
    # The negative control: an action that breaks the rule is found out.
    for client in clients:
        statements.seen.clear()
        call(client, "raws.sort", {"order_by": f"id /* {MARK} */"})
        assert statements.holding(MARK) != []


def test_the_rows_are_still_there(live: LiveServer) -> None:
    async def count() -> int:
        async with db.unit():
            found = await db.session.execute(text("SELECT count(*) FROM bounds_words"))
            return int(found.scalar_one())

    assert asyncio.run(count()) >= 1
