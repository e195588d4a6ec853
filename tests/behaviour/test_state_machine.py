"""Random operations over REST and gRPC in turn do what they would do to plain Python objects."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from bali.errors import BaliError
from bali.testing import LiveServer, RestServiceClient, RpcServiceClient, ServiceClient
from tests.behaviour.contract_service import db, make_app
from tests.protocols import DATABASES, NOWHERE, live_on

NAMES = (None, "ann", "bob")
FIELDS = ("title", "text", "stars", "owner")

texts = st.none() | st.sampled_from(["", "a", "Ä%_", "x" * 200])
numbers = st.integers(-3, 3)
callers = st.sampled_from(NAMES)
owners = st.sampled_from(["", "ann", "bob"])
protocols = st.sampled_from(["rest", "grpc"])
titles = st.integers(0, 30).map(lambda number: f"t{number}")


@dataclasses.dataclass
class Row:
    """What the plain model knows of a note."""

    title: str
    text: str | None = None
    stars: int = 0
    owner: str = ""
    is_deleted: bool = False


class Refused(Exception):
    """The model refuses; `reason` is what the service has to say."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PlainNotes:
    """The contract of the resource in plain Python: one dict, no database, no protocol."""

    def __init__(self) -> None:
        self.rows: dict[int, Row] = {}

    def _visible(self, row: Row, caller: str | None) -> bool:
        return caller is None or row.owner == caller

    def find(self, key: int, caller: str | None, *, deleted: bool) -> Row:
        row = self.rows.get(key)
        if row is None or not self._visible(row, caller) or (row.is_deleted and not deleted):
            raise Refused("NOT_FOUND")
        return row

    def _check(self, rows: dict[int, Row], changed: Row, caller: str | None) -> None:
        taken = [row for row in rows.values() if row is not changed and row.title == changed.title]
        if taken:
            raise Refused("ALREADY_EXISTS")
        if not self._visible(changed, caller):
            raise Refused("NOT_VISIBLE")

    def check_new(self, caller: str | None, values: list[dict[str, Any]]) -> list[Row]:
        rows = dict(self.rows)
        made = []
        for number, value in enumerate(values):
            row = Row(**value)
            if any(other.title == row.title for other in rows.values()):
                raise Refused("ALREADY_EXISTS")
            rows[-1 - number] = row
            made.append(row)
        if not all(self._visible(row, caller) for row in made):
            raise Refused("NOT_VISIBLE")
        return made

    def update(self, key: int, caller: str | None, values: dict[str, Any]) -> Row:
        row = self.find(key, caller, deleted=True)
        if row.is_deleted:
            raise Refused("DELETED")
        changed = dataclasses.replace(row, **values)
        self._check({k: v for k, v in self.rows.items() if k != key}, changed, caller)
        return changed

    def delete(self, keys: list[int], caller: str | None) -> None:
        for key in keys:
            self.find(key, caller, deleted=False)
        for key in keys:
            self.rows[key].is_deleted = True

    def undelete(self, key: int, caller: str | None) -> None:
        row = self.find(key, caller, deleted=True)
        if not row.is_deleted:
            raise Refused("NOT_DELETED")
        row.is_deleted = False

    def listed(
        self, caller: str | None, *, stars: int | None, deleted: bool, descending: bool
    ) -> list[int]:
        found = [
            (row.stars, key)
            for key, row in self.rows.items()
            if self._visible(row, caller)
            and (deleted or not row.is_deleted)
            and (stars is None or row.stars >= stars)
        ]
        found.sort(key=lambda pair: (-pair[0] if descending else pair[0], pair[1]))
        return [key for _, key in found]


class Notes(RuleBasedStateMachine):
    """The service beside its plain model."""

    live: LiveServer
    clients: dict[str, ServiceClient]
    runs = itertools.count()

    keys = Bundle("keys")
    several = st.lists(keys, min_size=1, max_size=3, unique=True)

    def __init__(self) -> None:
        super().__init__()
        self.plain = PlainNotes()
        self.prefix = f"m{next(Notes.runs)}-"
        self.repeats = itertools.count()

    def call(self, protocol: str, operation: str, caller: str | None, **arguments: Any) -> Any:
        """Return the answer as a dict; raise `Refused` with its reason for an error."""
        metadata = {"authorization": f"Bearer {caller}-token"} if caller else None
        try:
            found = self.clients[protocol].call(f"notes.{operation}", arguments, metadata=metadata)
        except BaliError as error:
            raise Refused(error.reason) from error
        return None if found is None else found.model_dump()

    def same(self, real: Any, plain: Any) -> tuple[Any, Any]:
        """Run both; return both answers, or fail when one refuses and the other does not."""
        outcomes: list[tuple[Any, str | None]] = []
        for run in (real, plain):
            try:
                outcomes.append((run(), None))
            except Refused as refused:
                outcomes.append((None, refused.reason))
        (answer, reason), (expected, wanted) = outcomes
        assert reason == wanted, f"the service says {reason}, the model {wanted}"
        if reason is not None:
            raise Refused(reason)
        return answer, expected

    def values(self, title: str, text: str | None, stars: int, owner: str) -> dict[str, Any]:
        return {"title": self.prefix + title, "text": text, "stars": stars, "owner": owner}

    def agree(self, answer: dict[str, Any], row: Row) -> None:
        assert {name: answer[name] for name in FIELDS} == {
            name: getattr(row, name) for name in FIELDS
        }
        assert (answer["deleted_time"] is not None) == row.is_deleted

    @rule(
        target=keys, protocol=protocols, caller=callers, title=titles, text=texts, stars=numbers,
        owner=owners, tries=st.booleans(), repeats=st.booleans(),
    )  # fmt: skip
    def create(
        self, *, protocol: str, caller: str | None, title: str, text: str | None, stars: int,
        owner: str, tries: bool, repeats: bool,
    ) -> Any:  # fmt: skip
        values = self.values(title, text, stars, owner)
        if text is None:
            del values["text"]  # a null has no form of its own in protobuf
        request_id = f"{self.prefix}{next(self.repeats)}" if repeats else ""
        arguments = {"note": values, "validate_only": tries, "request_id": request_id}
        try:
            answer, rows = self.same(
                lambda: self.call(protocol, "create", caller, **arguments),
                lambda: self.plain.check_new(caller, [values]),
            )
        except Refused:
            return multiple()
        self.agree(answer, rows[0])
        if tries:
            return multiple()
        if repeats:
            other = "grpc" if protocol == "rest" else "rest"
            assert self.call(other, "create", caller, **arguments) == answer
        self.plain.rows[answer["id"]] = rows[0]
        return answer["id"]

    @rule(
        target=keys, protocol=protocols, caller=callers, stars=numbers,
        items=st.lists(st.tuples(titles, owners), min_size=1, max_size=4),
    )  # fmt: skip
    def batch_create(
        self, *, protocol: str, caller: str | None, stars: int, items: list[tuple[str, str]]
    ) -> Any:
        values = [self.values(title, None, stars, owner) for title, owner in items]
        requests = [{"note": value} for value in values]
        try:
            answer, rows = self.same(
                lambda: self.call(protocol, "batch_create", caller, requests=requests),
                lambda: self.plain.check_new(caller, values),
            )
        except Refused:
            return multiple()
        for item, row in zip(answer["items"], rows, strict=True):
            self.agree(item, row)
            self.plain.rows[item["id"]] = row
        return multiple(*(item["id"] for item in answer["items"]))

    @rule(protocol=protocols, caller=callers, key=keys | st.just(NOWHERE), deleted=st.booleans())
    def get(self, *, protocol: str, caller: str | None, key: int, deleted: bool) -> None:
        try:
            answer, row = self.same(
                lambda: self.call(protocol, "get", caller, id=key, show_deleted=deleted),
                lambda: self.plain.find(key, caller, deleted=deleted),
            )
        except Refused:
            return
        self.agree(answer, row)

    @rule(
        protocol=protocols, caller=callers, key=keys | st.just(NOWHERE), title=titles, text=texts,
        stars=numbers, owner=owners, chosen=st.sets(st.sampled_from(FIELDS), min_size=1),
        masked=st.booleans(), tries=st.booleans(),
    )  # fmt: skip
    def update(
        self, *, protocol: str, caller: str | None, key: int, title: str, text: str | None,
        stars: int, owner: str, chosen: set[str], masked: bool, tries: bool,
    ) -> None:  # fmt: skip
        every = self.values(title, text, stars, owner)
        values = {name: every[name] for name in FIELDS if name in chosen}
        # Without a mask a null has no form in protobuf, and says nothing.
        if not masked and values.get("text", "") is None:
            del values["text"]
        sent = every if masked else values
        mask = sorted(chosen) if masked else []
        arguments = {"id": key, "note": sent, "update_mask": mask, "validate_only": tries}
        try:
            answer, row = self.same(
                lambda: self.call(protocol, "update", caller, **arguments),
                lambda: self.plain.update(key, caller, values),
            )
        except Refused:
            return
        self.agree(answer, row)
        if not tries:
            self.plain.rows[key] = row

    @rule(
        protocol=protocols,
        caller=callers,
        found=several,
    )
    def batch_delete(self, *, protocol: str, caller: str | None, found: list[int]) -> None:
        try:
            self.same(
                lambda: self.call(protocol, "batch_delete", caller, ids=found),
                lambda: self.plain.delete(found, caller),
            )
        except Refused:
            return

    @rule(protocol=protocols, caller=callers, key=keys | st.just(NOWHERE))
    def delete(self, *, protocol: str, caller: str | None, key: int) -> None:
        try:
            self.same(
                lambda: self.call(protocol, "delete", caller, id=key),
                lambda: self.plain.delete([key], caller),
            )
        except Refused:
            return

    @rule(protocol=protocols, caller=callers, key=consumes(keys))
    def undelete(self, *, protocol: str, caller: str | None, key: int) -> None:
        try:
            answer, _ = self.same(
                lambda: self.call(protocol, "undelete", caller, id=key),
                lambda: self.plain.undelete(key, caller),
            )
        except Refused:
            return
        self.agree(answer, self.plain.rows[key])

    @rule(
        protocol=protocols, caller=callers, stars=st.none() | numbers, deleted=st.booleans(),
        descending=st.booleans(), size=st.integers(1, 4),
    )  # fmt: skip
    def walk(
        self, *, protocol: str, caller: str | None, stars: int | None, deleted: bool,
        descending: bool, size: int,
    ) -> None:  # fmt: skip
        condition = f"title = {self.prefix}*"
        if stars is not None:
            condition += f" AND stars >= {stars}"
        arguments: dict[str, Any] = {
            "filter": condition,
            "order_by": "stars desc" if descending else "stars",
            "page_size": size,
            "show_deleted": deleted,
            "with_total": True,
        }
        expected = self.plain.listed(caller, stars=stars, deleted=deleted, descending=descending)
        found: list[int] = []
        for other in itertools.cycle(["rest", "grpc"] if protocol == "rest" else ["grpc", "rest"]):
            page = self.call(other, "list", caller, **arguments)
            assert page["total"] == len(expected)
            found += [item["id"] for item in page["items"]]
            arguments["page_token"] = page["next_page_token"]
            if not page["next_page_token"]:
                break
        assert found == expected

    @invariant()
    def nothing_else_has_changed(self) -> None:
        page = self.call(
            "grpc", "list", None, filter=f"title = {self.prefix}*", show_deleted=True,
            page_size=1000,
        )  # fmt: skip
        found = {item["id"]: item for item in page["items"]}
        assert found.keys() == self.plain.rows.keys()
        for key, row in self.plain.rows.items():
            self.agree(found[key], row)


@pytest.fixture(params=DATABASES)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with live_on(request, tmp_path_factory, db, make_app) as server:
        yield server


def test_random_operations_do_what_plain_python_does(live: LiveServer) -> None:
    clients: dict[str, ServiceClient] = {
        "rest": RestServiceClient(live),
        "grpc": RpcServiceClient(live),
    }

    class Machine(Notes):
        pass

    Machine.live, Machine.clients = live, clients
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=10,
            stateful_step_count=20,
            phases=[Phase.explicit, Phase.reuse, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
    for client in clients.values():
        client.close()
