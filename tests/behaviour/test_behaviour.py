"""What a call does is the same over every protocol: value, code, reason, field errors, verdict."""

from __future__ import annotations

import datetime
import decimal
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest

from bali.errors import BaliError, Code
from bali.testing import LiveServer, ServiceClient
from tests.protocols import ANN, BOB, CLIENTS, fields_of, value


@pytest.fixture
def label() -> str:
    return f"p-{uuid.uuid4().hex[:12]}"


def create(client: ServiceClient, **fields: Any) -> dict[str, Any]:
    return value(client.call("parcels.create", {"parcel": fields}))


def refused(client: ServiceClient, operation: str, /, **arguments: Any) -> BaliError:
    metadata = arguments.pop("metadata", None)
    timeout = arguments.pop("timeout_seconds", None)
    with pytest.raises(BaliError) as caught:
        client.call(operation, arguments, metadata=metadata, timeout_seconds=timeout)
    return caught.value


def until_error(
    client: ServiceClient, operation: str, **arguments: Any
) -> tuple[list[Any], BaliError]:
    items: list[Any] = []
    try:
        items.extend(client.stream(operation, arguments))
    except BaliError as error:
        return items, error
    raise AssertionError("the stream ended without an error")


class TestStandardActions:
    def test_create_answers_with_the_whole_item(self, client: ServiceClient, label: str) -> None:
        parcel = create(client, label=label, weight="1.250", size="large")
        assert parcel["id"] > 0
        assert parcel["weight"] == "1.250"
        assert parcel["size"] == "large"
        assert parcel["priority"] == 0
        assert parcel["note"] is None
        assert datetime.datetime.fromisoformat(parcel["created_time"]).tzinfo is not None

    def test_get_answers_with_what_was_stored(self, client: ServiceClient, label: str) -> None:
        moment = "2026-01-02T03:04:05.678901+02:00"
        created = create(client, label=label, shipped_at=moment)
        got = value(client.call("parcels.get", {"id": created["id"]}))
        assert got == created
        stored = datetime.datetime.fromisoformat(got["shipped_at"])
        assert stored == datetime.datetime.fromisoformat(moment)

    def test_a_missing_id_is_not_found(self, client: ServiceClient) -> None:
        for operation, arguments in (
            ("parcels.get", {"id": 999_999_999}),
            ("parcels.delete", {"id": 999_999_999}),
            ("parcels.update", {"id": 999_999_999, "parcel": {"note": "x"}}),
        ):
            error = refused(client, operation, **arguments)
            assert (error.code, error.http_status) == (Code.NOT_FOUND, 404)

    def test_an_update_changes_what_was_sent_alone(self, client: ServiceClient, label: str) -> None:
        created = create(client, label=label, note="before", priority=3)
        updated = value(
            client.call("parcels.update", {"id": created["id"], "parcel": {"priority": 4}})
        )
        changed = {name for name in created if created[name] != updated[name]}
        assert changed - {"updated_time"} == {"priority"}

    def test_an_update_can_clear_a_field(self, client: ServiceClient, label: str) -> None:
        created = create(client, label=label, note="before")
        updated = value(
            client.call(
                "parcels.update",
                {"id": created["id"], "parcel": {"note": None}, "update_mask": ["note"]},
            )
        )
        assert updated["note"] is None

    def test_an_update_cannot_change_the_key(self, client: ServiceClient, label: str) -> None:
        created = create(client, label=label)
        updated = value(
            client.call("parcels.update", {"id": created["id"], "parcel": {"id": 7, "note": "n"}})
        )
        assert updated["id"] == created["id"]
        error = refused(
            client, "parcels.update", id=created["id"], parcel={"id": 7}, update_mask=["id"]
        )
        assert fields_of(error) == {"update_mask": "OUTPUT_ONLY"}

    def test_a_deleted_item_is_gone(self, client: ServiceClient, label: str) -> None:
        created = create(client, label=label)
        assert client.call("parcels.delete", {"id": created["id"]}) is None
        error = refused(client, "parcels.get", id=created["id"])
        assert error.code is Code.NOT_FOUND

    def test_a_duplicate_exists_already(self, client: ServiceClient, label: str) -> None:
        create(client, label=label)
        error = refused(client, "parcels.create", parcel={"label": label})
        assert error.code is Code.ALREADY_EXISTS
        assert "INSERT" not in error.detail

    def test_missing_and_wrong_fields_are_named(self, client: ServiceClient) -> None:
        error = refused(client, "parcels.create", parcel={"label": "x" * 51, "priority": 2**40})
        assert (error.code, error.http_status) == (Code.INVALID_ARGUMENT, 422)
        assert error.reason == "VALIDATION_FAILED"
        assert fields_of(error) == {"label": "STRING_TOO_LONG", "priority": "LESS_THAN_EQUAL"}
        error = refused(client, "parcels.create", parcel={"priority": 1})
        assert fields_of(error) == {"label": "REQUIRED"}

    def test_a_nul_character_is_refused(self, client: ServiceClient) -> None:
        error = refused(client, "parcels.create", parcel={"label": "a\x00b"})
        assert fields_of(error) == {"label": "NUL_CHARACTER"}


class TestList:
    def test_pages_hold_every_item_once(self, client: ServiceClient, label: str) -> None:
        ids = [create(client, label=f"{label}-{n}", priority=n % 3)["id"] for n in range(7)]
        arguments: dict[str, Any] = {
            "label__istartswith": label.upper(),
            "order_by": "priority desc",
            "page_size": 3,
        }
        seen, sizes = [], []
        while True:
            page = value(client.call("parcels.list", arguments))
            seen += [(item["priority"], item["id"]) for item in page["items"]]
            sizes.append(len(page["items"]))
            if not page["next_page_token"]:
                break
            arguments["page_token"] = page["next_page_token"]
        assert sizes == [3, 3, 1]
        assert sorted(key for _, key in seen) == ids
        assert [priority for priority, _ in seen] == sorted(
            (priority for priority, _ in seen), reverse=True
        )

    def test_a_token_for_other_arguments_is_refused(
        self, client: ServiceClient, label: str
    ) -> None:
        for n in range(2):
            create(client, label=f"{label}-{n}")
        page = value(client.call("parcels.list", {"label__istartswith": label, "page_size": 1}))
        token = page["next_page_token"]
        error = refused(client, "parcels.list", page_token=token, page_size=1)
        assert error.code is Code.INVALID_ARGUMENT
        error = refused(client, "parcels.list", page_token=token[:-3], page_size=1)
        assert error.code is Code.INVALID_ARGUMENT

    def test_filters_and_total(self, client: ServiceClient, label: str) -> None:
        create(client, label=f"{label}-a", priority=1, note="n", size="large")
        create(client, label=f"{label}-b", priority=5)
        for filters, expected in (
            ({"priority__gte": 2}, ["b"]),
            ({"note__isnull": False}, ["a"]),
            ({"note__isnull": True}, ["b"]),
            ({"size": "large"}, ["a"]),
        ):
            arguments = {"label__istartswith": label, "with_total": True, **filters}
            page = value(client.call("parcels.list", arguments))
            assert [item["label"][-1] for item in page["items"]] == expected
            assert page["total"] == 1

    def test_former_names_of_paging_work(self, client: ServiceClient, label: str) -> None:
        for n in range(4):
            create(client, label=f"{label}-{n}")
        arguments = {"label__istartswith": label, "page_size": 2, "skip": 1, "order_by": "-id"}
        page = value(client.call("parcels.list", arguments))
        assert [item["label"][-1] for item in page["items"]] == ["2", "1"]

    @pytest.mark.parametrize(
        ("arguments", "field"),
        [
            ({"page_size": 1001}, "page_size"),
            ({"page_size": -1}, "page_size"),
            ({"skip": -1}, "skip"),
            ({"order_by": "nonsense"}, "order_by"),
            ({"order_by": "id; drop table x"}, "order_by"),
            ({"label": "x" * 1001}, "label"),
        ],
    )
    def test_bad_arguments_are_named(
        self, client: ServiceClient, arguments: dict[str, Any], field: str
    ) -> None:
        error = refused(client, "parcels.list", **arguments)
        assert (error.code, error.http_status) == (Code.INVALID_ARGUMENT, 422)
        assert list(fields_of(error)) == [field]


class TestFilter:
    @pytest.mark.parametrize(
        ("condition", "expected"),
        [
            ("priority > 1", "bc"),
            ("priority = 1 OR priority = 3", "ac"),
            ("priority >= 1 AND size = large OR note:*", "ab"),
            ("priority >= 1 size = large", "b"),
            ("NOT note = Fragile", "bc"),
            ("note != Fragile", ""),
            ("-size:small", "b"),
            ("note:RAGI", "a"),
            ("note = Frag*", "a"),
            ("note = null", "bc"),
            ("weight = (1.5 OR 2.25)", "bc"),
            ("weight < -1", ""),
            ("shipped_at >= 2026-01-31T08:00:00+01:00", "c"),
            ('shipped_at < "2026-01-31T07:00:00Z"', ""),
            ("is_active = true AND NOT (priority = 2)", "ac"),
            ("fragile", "a"),
            ("heavier_than(2) priority:3", "c"),
            ("created_time <= now()", "abc"),
        ],
    )
    def test_it_chooses(
        self, client: ServiceClient, label: str, condition: str, expected: str
    ) -> None:
        create(client, label=f"{label}-a", priority=1, note="Fragile")
        create(client, label=f"{label}-b", priority=2, size="large", weight="1.5")
        shipped = {"weight": "2.25", "shipped_at": "2026-01-31T07:00:00Z"}
        create(client, label=f"{label}-c", priority=3, **shipped)
        page = value(
            client.call(
                "parcels.list",
                {"filter": f"({condition}) label = {label}-*", "with_total": True},
            )
        )
        assert "".join(item["label"][-1] for item in page["items"]) == expected
        assert page["total"] == len(expected)

    def test_pages_and_declared_filters_go_with_it(self, client: ServiceClient, label: str) -> None:
        ids = [create(client, label=f"{label}-{n}", priority=n % 3)["id"] for n in range(9)]
        arguments: dict[str, Any] = {
            "label__istartswith": label,
            "filter": "priority != 1",
            "order_by": "priority desc",
            "page_size": 4,
        }
        first = value(client.call("parcels.list", arguments))
        token = first["next_page_token"]
        second = value(client.call("parcels.list", {**arguments, "page_token": token}))
        found = [item["id"] for page in (first, second) for item in page["items"]]
        assert found == [ids[n] for n in (2, 5, 8, 0, 3, 6)]
        for other in ("priority != 2", ""):
            error = refused(
                client, "parcels.list", **{**arguments, "page_token": token, "filter": other}
            )
            assert (error.code, error.reason) == (Code.INVALID_ARGUMENT, "PAGE_TOKEN_MISMATCH")

    @pytest.mark.parametrize(
        ("condition", "text"),
        [
            ('priority = "x"', "column 12: 'x' is not a number"),
            (
                "lable = 3",
                "column 1: there is no field 'lable' to filter by; did you mean 'label'",
            ),
            ("priority = 1 AND (", "column 19: the filter ends where"),
            ("size = medium", "column 8: 'medium' is none of its values"),
            ("size > small", "column 6: 'size' has no order"),
            ("note.text = a", "column 1: 'note' is no relation"),
            ("gone(1)", "column 1: there is no function 'gone'"),
            ("heavier_than(x)", "column 14: x is not a number"),
            ("priority = 1; DROP TABLE behaviour_parcels", "column 12: 1; is not a number"),
            ("(" * 500, "column 33: at most 32 parentheses"),
            ("a " * 400, "column 1: more than 100 terms"),
        ],
    )
    def test_what_is_wrong_is_told_with_its_column(
        self, client: ServiceClient, condition: str, text: str
    ) -> None:
        error = refused(client, "parcels.list", filter=condition)
        assert (error.code, error.http_status) == (Code.INVALID_ARGUMENT, 422)
        assert fields_of(error) == {"filter": "INVALID_FILTER"}
        assert error.field_errors[0].description.startswith(text)

    def test_its_length_is_bounded(self, client: ServiceClient) -> None:
        error = refused(client, "parcels.list", filter="a" * 1001)
        assert fields_of(error) == {"filter": "STRING_TOO_LONG"}

    def test_what_nobody_sees_is_not_there(self, client: ServiceClient) -> None:
        error = refused(client, "parcels.list", filter="secret = 1")
        assert "there is no field 'secret'" in error.field_errors[0].description

    def test_a_query_that_an_action_returns_is_filtered(
        self, client: ServiceClient, label: str
    ) -> None:
        for n in range(4):
            create(client, label=f"{label}-{n}", priority=n)
        arguments: dict[str, Any] = {
            "filter": f"label = {label}-* priority > 0",
            "page_size": 1,
            "with_total": True,
        }
        page = value(client.call("parcels.urgent", arguments))
        assert [item["priority"] for item in page["items"]] == [2]
        assert page["total"] == 2


class TestCustomActions:
    def test_an_action_on_one_item(self, client: ServiceClient, label: str) -> None:
        created = create(client, label=label)
        moved = value(client.call("parcels.move", {"id": created["id"], "to": "Rome"}))
        assert moved["note"] == "Rome"

    def test_its_body_is_validated(self, client: ServiceClient, label: str) -> None:
        created = create(client, label=label)
        error = refused(client, "parcels.move", id=created["id"], to="")
        assert fields_of(error) == {"to": "STRING_TOO_SHORT"}

    def test_an_error_rolls_back(self, client: ServiceClient, label: str) -> None:
        created = create(client, label=label, note="here")
        error = refused(client, "parcels.move", id=created["id"], to="nowhere")
        assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "NO_WAY")
        assert value(client.call("parcels.get", {"id": created["id"]}))["note"] == "here"

    def test_blocking_code_is_part_of_the_transaction(
        self, client: ServiceClient, label: str
    ) -> None:
        created = create(client, label=label)
        renamed = value(
            client.call("parcels.relabel", {"id": created["id"], "label": f"{label}-new"})
        )
        assert renamed["label"] == f"{label}-new"
        error = refused(client, "parcels.relabel", id=created["id"], label="explosive")
        assert error.code is Code.INTERNAL
        got = value(client.call("parcels.get", {"id": created["id"]}))
        assert got["label"] == f"{label}-new"

    def test_all_or_nothing(self, client: ServiceClient, label: str) -> None:
        before = value(client.call("parcels.census"))["result"]
        error = refused(client, "parcels.import_labels", labels=[label, label])
        assert error.code is Code.ALREADY_EXISTS
        assert value(client.call("parcels.census"))["result"] == before
        assert client.call("parcels.import_labels", {"labels": [label]}) is None
        assert value(client.call("parcels.census"))["result"] == before + 1

    def test_a_list_and_a_query_argument(self, client: ServiceClient, label: str) -> None:
        created = create(client, label=label, priority=1_000_000)
        found = value(client.call("parcels.heaviest", {"count": 1}))
        assert len(found["items"]) == 1
        client.call("parcels.delete", {"id": created["id"]})

    def test_a_missing_argument_is_named(self, client: ServiceClient) -> None:
        assert fields_of(refused(client, "probes.sleep")) == {"seconds": "REQUIRED"}


EVERYTHING: dict[str, Any] = {
    "truth": True,
    "whole": -(2**63),
    "real": 0.1,
    "text": "żółw 🐢",
    "raw": b"\x00\xff\x10",
    "money": "12345678901234567890.123456789",
    "moment": "2026-11-24T08:00:00.123456Z",
    "day": "2024-02-29",
    "clock": "23:59:59.999999",
    "span": "-P1DT2H3M4.000005S",
    "key": "0f8fad5b-d9cb-469f-a165-70867728950e",
    "size": "large",
    "maybe": None,
    "lines": [{"sku": "a", "amount": 2}, {"sku": "b", "amount": 1}],
    "prices": {"x": "1.10", "y": "2"},
    "shape": {"kind": "square", "side": 2.5},
    "anything": {"a": [1, "two", None, True, 0.5]},
}


class TestTypes:
    def test_every_type_comes_back_as_it_went(self, client: ServiceClient) -> None:
        result: Any = client.call("probes.echo", EVERYTHING)
        assert result.whole == -(2**63)
        assert result.raw == b"\x00\xff\x10"
        assert result.money == decimal.Decimal("12345678901234567890.123456789")
        assert result.moment == datetime.datetime(
            2026, 11, 24, 8, 0, 0, 123456, tzinfo=datetime.UTC
        )
        assert result.clock == datetime.time(23, 59, 59, 999999)
        assert result.span == -datetime.timedelta(
            days=1, hours=2, minutes=3, seconds=4, microseconds=5
        )
        assert result.key == uuid.UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
        assert result.shape.side == 2.5
        assert result.anything == {"a": [1, "two", None, True, 0.5]}
        assert [line.sku for line in result.lines] == ["a", "b"]
        assert result.prices == {"x": decimal.Decimal("1.10"), "y": decimal.Decimal(2)}
        assert result.maybe is None

    def test_zero_is_not_missing(self, client: ServiceClient) -> None:
        sent = {**EVERYTHING, "truth": False, "whole": 0, "real": 0.0, "text": "", "raw": b""}
        result: Any = client.call("probes.echo", sent)
        assert (result.truth, result.whole, result.real, result.text, result.raw) == (
            False, 0, 0.0, "", b"",
        )  # fmt: skip

    def test_missing_fields_are_named(self, client: ServiceClient) -> None:
        error = refused(client, "probes.echo", lines=[{"amount": 1}])
        required = {name for name, reason in fields_of(error).items() if reason == "REQUIRED"}
        assert required == {
            "truth", "whole", "real", "text", "raw", "money", "moment", "day", "clock", "span",
            "key", "size", "shape", "lines[0].sku",
        }  # fmt: skip

    def test_a_validator_of_the_schema_is_heard(self, client: ServiceClient) -> None:
        error = refused(client, "probes.echo", **{**EVERYTHING, "text": "forbidden"})
        assert fields_of(error) == {"text": "VALUE_ERROR"}
        assert "this text is forbidden" in error.field_errors[0].description


class TestPermissions:
    def test_a_stranger_is_not_authenticated(self, client: ServiceClient) -> None:
        error = refused(client, "probes.whoami")
        assert (error.code, error.http_status) == (Code.UNAUTHENTICATED, 401)

    def test_a_bad_token_is_refused_even_where_anybody_may_call(
        self, client: ServiceClient
    ) -> None:
        bad = {"authorization": "Bearer nonsense"}
        error = refused(client, "probes.sleep", seconds=0, metadata=bad)
        assert (error.code, error.reason) == (Code.UNAUTHENTICATED, "BAD_CREDENTIALS")

    def test_a_known_caller_is_let_in(self, client: ServiceClient) -> None:
        assert value(client.call("probes.whoami", metadata=ANN)) == {"result": "ann"}

    def test_a_composed_permission(self, client: ServiceClient) -> None:
        assert value(client.call("probes.strangers")) == {"result": "hello"}
        error = refused(client, "probes.strangers", metadata=ANN)
        assert (error.code, error.http_status) == (Code.PERMISSION_DENIED, 403)

    def test_streams_are_guarded(self, client: ServiceClient) -> None:
        for metadata, code in ((None, Code.UNAUTHENTICATED), (BOB, Code.PERMISSION_DENIED)):
            with pytest.raises(BaliError) as caught:
                list(client.stream("probes.secret_ticks", metadata=metadata))
            assert caught.value.code is code
        items = [value(item) for item in client.stream("probes.secret_ticks", metadata=ANN)]
        assert items == [{"number": 42}]

    def test_two_callers_at_once_never_see_each_other(self, live: LiveServer) -> None:
        for make in CLIENTS.values():
            client = make(live)
            ask = partial(client.call, "probes.whoami", None)
            with ThreadPoolExecutor(8) as threads:
                calls = [threads.submit(ask, metadata=who) for who in [ANN, BOB] * 20]
                answers = [value(call.result())["result"] for call in calls]
            client.close()
            assert answers == ["ann", "bob"] * 20


class TestStreams:
    @pytest.mark.parametrize("operation", ["probes.ticks", "probes.slow_ticks"])
    def test_items_come_in_order(self, client: ServiceClient, operation: str) -> None:
        items = [value(item)["number"] for item in client.stream(operation, {"count": 50})]
        assert items == list(range(50))

    def test_an_empty_stream_ends(self, client: ServiceClient) -> None:
        assert list(client.stream("probes.ticks", {"count": 0})) == []

    def test_an_error_in_the_middle_comes_after_the_items(self, client: ServiceClient) -> None:
        items, error = until_error(client, "probes.ticks", count=5, fail_at=2)
        assert [value(item)["number"] for item in items] == [0, 1]
        assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "STOPPED")

    def test_arguments_are_validated(self, client: ServiceClient) -> None:
        with pytest.raises(BaliError) as caught:
            list(client.stream("probes.ticks", {}))
        assert fields_of(caught.value) == {"count": "REQUIRED"}

    def test_a_stream_about_one_item(self, client: ServiceClient, label: str) -> None:
        created = create(client, label=label)
        items = list(client.stream("parcels.follow", {"id": created["id"], "steps": 2}))
        assert [value(item)["priority"] for item in items] == [0, 1]
        with pytest.raises(BaliError) as caught:
            list(client.stream("parcels.follow", {"id": 999_999_999}))
        assert caught.value.code is Code.NOT_FOUND


class TestFailures:
    def test_a_bug_shows_nothing(self, client: ServiceClient) -> None:
        error = refused(client, "probes.explode")
        assert (error.code, error.http_status, error.reason) == (Code.INTERNAL, 500, "INTERNAL")
        assert "secret" not in error.detail
        assert "hunter2" not in repr(vars(error))

    def test_a_bug_in_a_stream_shows_nothing(self, client: ServiceClient) -> None:
        items, error = until_error(client, "probes.explode_ticks")
        assert len(items) == 1
        assert error.code is Code.INTERNAL
        assert "hunter2" not in repr(vars(error))

    def test_a_wrong_result_is_internal(self, client: ServiceClient) -> None:
        assert refused(client, "probes.wrong").code is Code.INTERNAL

    def test_a_deadline_ends_the_call(self, client: ServiceClient) -> None:
        error = refused(client, "probes.sleep", seconds=30, timeout_seconds=0.2)
        assert (error.code, error.http_status) == (Code.DEADLINE_EXCEEDED, 504)
