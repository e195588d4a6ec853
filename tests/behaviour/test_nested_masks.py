"""`update_mask` goes into nested records, the same over every protocol (AIP-134, AIP-161)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from bali.concurrency import run_blocking
from bali.errors import Code
from bali.testing import LiveServer, ServiceClient, count_queries
from tests.behaviour.nested_service import Shop, db, make_app
from tests.protocols import ANN, BOB, CLIENTS, DATABASES, fields_of, live_on, refused

ADDRESS = {
    "street": "Main",
    "city": "Ulm",
    "zip": "89073",
    "floor": 2,
    "size": "large",
    "point": {"lat": 48.5, "lon": 10.0},
    "tags": ["a"],
    "notes": {"k": "v"},
    "delivery": {"kind": "pick", "desk": 3},
    "anything": {"x": 1},
    "country": "de",
    "code": "s3cret",
    "seal": "wax",
}
#: What callers see of it.
SEEN = {
    **{name: item for name, item in ADDRESS.items() if name not in ("code", "seal")},
    "point": {"lat": 48.5, "lon": 10.0, "source": None},
    "checked": False,
    "label": "MAIN, Ulm",
}


@pytest.fixture(scope="module", params=DATABASES)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with live_on(request, tmp_path_factory, db, make_app) as server:
        yield server


def value(answer: Any) -> dict[str, Any]:
    """Return an answer as the JSON that it is, by the names on the wire."""
    return dict(answer.model_dump(mode="json", by_alias=True))


def new(client: ServiceClient, **fields: Any) -> dict[str, Any]:
    shop = {"name": "tea", "address": ADDRESS, "origin": {"lat": 1, "lon": 2}, **fields}
    return value(client.call("shops.create", {"shop": shop}))


def update(client: ServiceClient, key: int, mask: Any, /, **shop: Any) -> dict[str, Any]:
    return value(client.call("shops.update", {"id": key, "shop": shop, "update_mask": mask}))


def wrong(client: ServiceClient, key: int, mask: Any, /, **shop: Any) -> dict[str, str]:
    error = refused(client, "shops.update", id=key, shop=shop, update_mask=mask)
    assert (error.code, error.http_status) == (Code.INVALID_ARGUMENT, 422)
    return fields_of(error)


def stored(key: int) -> Any:
    """Return the address as the database has it."""

    async def read() -> Any:
        async with db.unit():
            return (await Shop.__store__.get(key)).address

    return run_blocking(read())


def store(key: int, address: Any) -> None:
    """Put an address into the database that no caller could send."""

    async def write() -> None:
        async with db.unit():
            await Shop.__store__.update(key, {"address": address})

    run_blocking(write())


class TestMerging:
    def test_the_rest_stays_as_it_is(self, client: ServiceClient) -> None:
        made = new(client)
        changed = update(client, made["id"], ["address.city"], address={"city": "Bonn"})
        assert changed["address"] == {**SEEN, "city": "Bonn", "label": "MAIN, Bonn"}
        assert changed == value(client.call("shops.get", {"id": made["id"]}))
        kept = {"name", "rank", "origin", "created_time"}
        assert {name: changed[name] for name in kept} == {name: made[name] for name in kept}

    def test_what_callers_do_not_see_stays_too(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        store(key, {**stored(key), "checked": True, "newer": [1]})
        before = stored(key)
        assert (before["code"], before["postcode"]) == ("s3cret", "89073")
        update(client, key, ["address.floor"], address={"floor": 3})
        assert stored(key) == {**before, "floor": 3}

    def test_what_no_path_names_is_ignored(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        changed = update(
            client,
            key,
            ["address.city"],
            name="milk",
            address={"city": "Bonn", "street": "Other", "point": {"lat": 0, "lon": 0}},
        )
        assert changed["name"] == "tea"
        assert changed["address"] == {**SEEN, "city": "Bonn", "label": "MAIN, Bonn"}

    def test_paths_go_as_deep_as_records(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        mask = ["address.point.lat", "address.zip", "name"]
        changed = update(
            client, key, mask, name="milk", address={"point": {"lat": -1.5}, "zip": "1"}
        )
        assert changed["name"] == "milk"
        assert changed["address"] == {
            **SEEN,
            "zip": "1",
            "point": {"lat": -1.5, "lon": 10.0, "source": None},
        }

    @pytest.mark.parametrize(
        ("name", "sent"),
        [
            ("tags", ["x", "y"]),
            ("notes", {"x": "y"}),
            ("delivery", {"kind": "post", "price": 9}),
            ("anything", [1, {"a": None}]),
            ("size", "small"),
            ("point", {"lat": 2.0, "lon": 3.0, "source": None}),
        ],
    )
    def test_a_field_of_any_kind_is_replaced(
        self, client: ServiceClient, name: str, sent: Any
    ) -> None:
        key = new(client)["id"]
        changed = update(client, key, [f"address.{name}"], address={name: sent})
        assert changed["address"] == {**SEEN, name: sent}

    @pytest.mark.parametrize(
        "mask",
        [
            ["address", "address.city"],
            ["address.city", "address"],
            ["address.city", "address.*"],
            ["address.*"],
        ],
    )
    def test_the_broader_path_counts(self, client: ServiceClient, mask: list[str]) -> None:
        key = new(client)["id"]
        changed = update(
            client, key, mask, address={"street": "New", "city": "Bonn", "country": "de"}
        )
        assert changed["address"] == {
            "street": "New", "city": "Bonn", "zip": "00000", "floor": 0, "size": "small",
            "point": None, "tags": [], "notes": {}, "delivery": None, "anything": None,
            "country": "de", "checked": False, "label": "NEW, Bonn",
        }  # fmt: skip

    def test_a_record_in_another_kind_of_column_is_merged_too(self, client: ServiceClient) -> None:
        made = value(client.call("boxes.create", {"box": {"lid": {"colour": "red", "width": 3}}}))
        for mask, lid in (
            (["lid.colour"], {"colour": "blue", "width": 3}),
            (["lid.width", "name"], {"colour": "blue", "width": 9}),
            (["name"], {"colour": "blue", "width": 9}),
        ):
            box = {"name": "b", "lid": {"colour": "blue", "width": 9}}
            changed = client.call(
                "boxes.update", {"id": made["id"], "box": box, "update_mask": mask}
            )
            assert value(changed)["lid"] == lid

    def test_a_path_twice_is_a_path(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        changed = update(client, key, ["address.city"] * 3, address={"city": "Bonn"})
        assert changed["address"]["city"] == "Bonn"

    def test_a_patch_without_a_mask_replaces_the_record(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        changed = update(client, key, None, address={"street": "New", "country": "de"})
        assert changed["address"]["city"] is None
        assert "code" in stored(key)
        assert stored(key)["code"] is None


class TestClearing:
    def test_a_field_without_a_value_has_its_default(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        names = (
            "city", "zip", "floor", "size", "point", "tags", "notes", "delivery", "anything",
        )  # fmt: skip
        changed = update(client, key, [f"address.{name}" for name in names], address={})
        assert changed["address"] == {
            **SEEN, "city": None, "zip": "00000", "floor": 0, "size": "small", "point": None,
            "tags": [], "notes": {}, "delivery": None, "anything": None, "label": "MAIN, None",
        }  # fmt: skip
        assert stored(key)["code"] == "s3cret"

    @pytest.mark.parametrize("shop", [{}, {"address": {}}, {"address": {"city": None}}])
    def test_absent_and_null_are_alike(self, client: ServiceClient, shop: Any) -> None:
        key = new(client)["id"]
        assert update(client, key, ["address.city"], **shop)["address"]["city"] is None

    def test_a_null_is_a_default_where_none_can_be(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        shop = {"rank": None, "address": {"floor": None}}
        changed = update(client, key, ["rank", "address.floor"], **shop)
        assert (changed["rank"], changed["address"]["floor"]) == (7, 0)

    @pytest.mark.parametrize("shop", [{}, {"address": {}}, {"address": {"street": None}}])
    def test_a_field_that_is_needed_cannot_be_cleared(
        self, client: ServiceClient, shop: Any
    ) -> None:
        made = new(client)
        error = wrong(client, made["id"], ["address.street", "address.point.lat"], **shop)
        assert error == {"address.street": "REQUIRED", "address.point.lat": "REQUIRED"}
        assert value(client.call("shops.get", {"id": made["id"]})) == made

    def test_the_record_itself_can_be_cleared(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        assert update(client, key, ["address"])["address"] is None


class TestOfNothing:
    def test_the_part_makes_the_record(self, client: ServiceClient) -> None:
        key = new(client, address=None)["id"]
        changed = update(client, key, ["address.street"], address={"street": "New"})
        assert (changed["address"]["street"], changed["address"]["zip"]) == ("New", "00000")
        sent = value(client.call("shops.create", {"shop": {"address": {"street": "New"}}}))
        assert stored(key) == stored(sent["id"])

    def test_a_part_that_makes_no_record_is_refused(self, client: ServiceClient) -> None:
        key = new(client, address=None)["id"]
        sent = {"city": "Bonn", "point": {"lat": 1}}
        mask = ["address.city", "address.point.lat"]
        assert wrong(client, key, mask, address=sent) == {
            "address.street": "REQUIRED",
            "address.point.lon": "REQUIRED",
        }
        assert stored(key) is None

    def test_what_is_immutable_can_be_set_with_the_record(self, client: ServiceClient) -> None:
        key = new(client, address=None)["id"]
        mask = ["address.street", "address.country"]
        changed = update(client, key, mask, address={"street": "New", "country": "fr"})
        assert changed["address"]["country"] == "fr"


class TestValidation:
    @pytest.mark.parametrize(
        ("path", "sent", "expected"),
        [
            ("address.street", {"street": "x" * 21}, {"address.street": "STRING_TOO_LONG"}),
            ("address.zip", {"zip": "123456"}, {"address.zip": "STRING_TOO_LONG"}),
            ("address.city", {"city": "a\0"}, {"address.city": "NUL_CHARACTER"}),
            ("address.tags", {"tags": ["a", "\0"]}, {"address.tags[1]": "NUL_CHARACTER"}),
            (
                "address.point.lat",
                {"point": {"lat": 91}},
                {"address.point.lat": "LESS_THAN_EQUAL"},
            ),
            (
                "address.point",
                {"point": {"lat": 91, "lon": 0}},
                {"address.point.lat": "LESS_THAN_EQUAL"},
            ),
        ],
    )
    def test_a_value_is_named_with_its_full_path(
        self, client: ServiceClient, path: str, sent: Any, expected: Any
    ) -> None:
        made = new(client)
        assert wrong(client, made["id"], [path], address=sent) == expected
        assert value(client.call("shops.get", {"id": made["id"]})) == made

    def test_the_merged_record_is_judged_as_a_whole(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        assert wrong(client, key, ["address.city"], address={"city": "Nowhere"}) == {
            "address": "VALUE_ERROR"
        }
        changed = update(
            client, key, ["address.city", "address.floor"], address={"city": "Nowhere"}
        )
        assert (changed["address"]["city"], changed["address"]["floor"]) == ("Nowhere", 0)

    def test_so_is_what_was_stored_before_the_schema_changed(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        store(key, {**stored(key), "postcode": "123456", "delivery": {"kind": "pick"}})
        assert wrong(client, key, ["address.city"], address={"city": "Bonn"}) == {
            "address.zip": "STRING_TOO_LONG",
            "address.delivery.desk": "REQUIRED",
        }

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("address.nothing", "UNKNOWN_FIELD"),
            ("address.postcode", "UNKNOWN_FIELD"),
            ("address.point.nothing", "UNKNOWN_FIELD"),
            ("address.", "UNKNOWN_FIELD"),
            ("address..city", "UNKNOWN_FIELD"),
            (".address.city", "UNKNOWN_FIELD"),
            ("address.city.x", "UNKNOWN_FIELD"),
            ("address.size.x", "UNKNOWN_FIELD"),
            ("address.tags[0]", "UNKNOWN_FIELD"),
            ("address.__class__", "UNKNOWN_FIELD"),
            ("*.city", "UNKNOWN_FIELD"),
            ("name.x", "UNKNOWN_FIELD"),
            ("address.tags.x", "WHOLE_ONLY"),
            ("address.tags.0", "WHOLE_ONLY"),
            ("address.tags.*.x", "WHOLE_ONLY"),
            ("address.notes.k", "WHOLE_ONLY"),
            ("address.delivery.desk", "WHOLE_ONLY"),
            ("address.anything.x", "WHOLE_ONLY"),
            ("address.checked", "OUTPUT_ONLY"),
            ("address.label", "OUTPUT_ONLY"),
            ("address.point.source", "OUTPUT_ONLY"),
            ("id.x", "OUTPUT_ONLY"),
            ("address." + "x" * 300, "TOO_LONG"),
            (".".join(["address"] * 40), "TOO_LONG"),
        ],
    )
    def test_a_path_that_leads_nowhere_is_refused(
        self, client: ServiceClient, path: str, reason: str
    ) -> None:
        made = new(client)
        for mask in ([path], ["address", path], ["address.city", path]):
            error = refused(
                client, "shops.update", id=made["id"], shop={"address": ADDRESS}, update_mask=mask
            )
            assert (error.code, error.http_status) == (Code.INVALID_ARGUMENT, 422)
            assert fields_of(error) == {"update_mask": reason}
            assert path[:150] in error.field_errors[0].description
        assert value(client.call("shops.get", {"id": made["id"]})) == made

    def test_too_many_paths_are_refused(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        # In a body: the query of a URL is bounded before.
        change = {"id": key, "shop": {}, "update_mask": ["address.city"] * 1001}
        error = refused(client, "shops.batch_update", requests=[change])
        assert fields_of(error) == {"requests[0].update_mask": "TOO_LONG"}


class TestBehaviours:
    def test_an_immutable_field_keeps_its_value(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        for sent in ({"country": "fr"}, {"country": None}, {}):
            mask = ["address.country", "address.city"]
            error = wrong(client, key, mask, address={"city": "Paris", **sent})
            assert error == {"address.country": "IMMUTABLE"}
        changed = update(client, key, ["address.country"], address={"country": "de"})
        assert changed["address"] == SEEN

    def test_so_does_a_field_of_an_immutable_record(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        assert wrong(client, key, ["origin.lat"], origin={"lat": 5}) == {"origin.lat": "IMMUTABLE"}
        assert update(client, key, ["origin.lat"], origin={"lat": 1})["origin"]["lat"] == 1
        key = new(client, origin=None)["id"]
        mask = ["origin.lat", "origin.lon"]
        assert wrong(client, key, mask, origin={"lat": 5, "lon": 6}) == {
            "origin.lat": "IMMUTABLE",
            "origin.lon": "IMMUTABLE",
        }

    def test_an_input_only_field_is_taken_and_not_told(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        assert update(client, key, ["address.code"], address={"code": "new"})["address"] == SEEN
        assert stored(key)["code"] == "new"

    @pytest.mark.parametrize("seal", ["wax", "lead"])
    def test_one_that_is_immutable_cannot_be_guessed(
        self, client: ServiceClient, seal: str
    ) -> None:
        key = new(client)["id"]
        error = wrong(client, key, ["address.seal"], address={"seal": seal})
        assert error == {"address.seal": "IMMUTABLE"}


class TestWithTheOtherPromises:
    def test_an_etag_is_held_against_the_whole(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        arguments = {"shop": {"address": {"city": "Bonn"}}, "update_mask": ["address.city"]}
        error = refused(client, "shops.update", id=key, etag='"no"', **arguments)
        assert error.reason == "ETAG_MISMATCH"
        rest: Any = CLIENTS["rest"](client.live)
        etag = rest.http.get(f"/shops/{key}").headers["etag"]
        client.call("shops.update", {"id": key, "etag": etag, **arguments})
        assert rest.http.get(f"/shops/{key}").headers["etag"] != etag
        error = refused(client, "shops.update", id=key, etag=etag, **arguments)
        assert error.reason == "ETAG_MISMATCH"
        rest.close()

    def test_an_update_that_is_only_tried_changes_nothing(self, client: ServiceClient) -> None:
        made = new(client)
        arguments = {"shop": {"address": {"city": "Bonn"}}, "update_mask": ["address.city"]}
        key = made["id"]
        tried = client.call("shops.update", {"id": key, "validate_only": True, **arguments})
        assert value(tried)["address"]["city"] == "Bonn"
        assert value(client.call("shops.get", {"id": key})) == made

    def test_a_request_that_is_sent_again_is_done_once(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        request: dict[str, Any] = {
            "id": key,
            "shop": {"address": {"street": "New"}},
            "update_mask": ["address.street"],
            "request_id": uuid.uuid4().hex,
        }
        first = value(client.call("shops.update", request))
        update(client, key, ["address.floor"], address={"floor": 9})
        assert value(client.call("shops.update", request)) == first
        for other in (
            {"update_mask": ["address"]},
            {"update_mask": ["address.street", "address.city"]},
            {"shop": {"address": {"street": "Other"}}},
        ):
            error = refused(client, "shops.update", **{**request, **other})
            assert fields_of(error) == {"request_id": "REQUEST_ID_REUSED"}

    def test_what_is_not_there_is_not_found(self, client: ServiceClient) -> None:
        key = new(client, owner="ann")["id"]
        arguments = {"shop": {"address": {"city": "B"}}, "update_mask": ["address.city"]}
        error = refused(client, "shops.update", BOB, id=key, **arguments)
        assert error.code is Code.NOT_FOUND
        changed = client.call("shops.update", {"id": key, **arguments}, metadata=ANN)
        assert value(changed)["address"]["city"] == "B"

    def test_a_batch_merges_each_of_its_items(self, client: ServiceClient) -> None:
        keys = [new(client)["id"] for _ in range(3)]
        paths = [("city", "Bonn"), ("floor", 5), ("point", {"lat": 0.0, "lon": 1.0})]
        requests = [
            {"id": key, "shop": {"address": {name: sent}}, "update_mask": [f"address.{name}"]}
            for key, (name, sent) in zip(keys, paths, strict=True)
        ]
        with count_queries(db) as counted:
            changed = value(client.call("shops.batch_update", {"requests": requests}))["items"]
        kinds = [statement.split()[0].upper() for statement in counted.statements]
        assert kinds == ["SELECT", "UPDATE", "SELECT"]
        assert [item["address"]["city"] for item in changed] == ["Bonn", "Ulm", "Ulm"]
        assert [item["address"]["floor"] for item in changed] == [2, 5, 2]
        assert changed[2]["address"]["point"] == {"lat": 0.0, "lon": 1.0, "source": None}

    def test_an_update_is_the_lock_and_the_write(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        with count_queries(db) as counted:
            update(client, key, ["address.city"], address={"city": "Bonn"})
        kinds = [statement.split()[0].upper() for statement in counted.statements]
        assert kinds == ["SELECT", "UPDATE"]

    def test_a_batch_names_what_is_wrong_in_it(self, client: ServiceClient) -> None:
        keys = [new(client)["id"], new(client, address=None)["id"]]
        city = {"shop": {"address": {"city": "Bonn"}}, "update_mask": ["address.city"]}
        for second, expected in (
            (city, {"requests[1].address.street": "REQUIRED"}),
            (
                {**city, "update_mask": ["address.street"]},
                {"requests[1].address.street": "REQUIRED"},
            ),
            ({**city, "update_mask": ["address.x"]}, {"requests[1].update_mask": "UNKNOWN_FIELD"}),
            (
                {"shop": {"origin": {"lat": 9}}, "update_mask": ["origin.lat"]},
                {"requests[1].origin.lat": "IMMUTABLE"},
            ),
        ):
            requests = [{"id": keys[0], **city}, {"id": keys[1], **second}]
            error = refused(client, "shops.batch_update", requests=requests)
            assert fields_of(error) == expected
        assert stored(keys[0])["city"] == "Ulm"


class TestOwnUpdates:
    """An author's own update is given whole records."""

    def change(
        self, client: ServiceClient, kind: str, key: int, address: Any, *mask: str
    ) -> dict[str, Any]:
        arguments = {"id": key, kind: {"address": address}, "update_mask": list(mask)}
        return value(client.call(f"{kind}s.update", arguments))

    def test_it_may_store_what_it_is_given(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        changed = self.change(client, "own_shop", key, {"city": "Bonn"}, "address.city")
        assert changed["address"] == {**SEEN, "city": "Bonn", "label": "MAIN, Bonn"}
        assert (stored(key)["code"], stored(key)["seal"]) == ("s3cret", "wax")

    def test_it_may_change_it_before(self, client: ServiceClient) -> None:
        key = new(client, address={**ADDRESS, "seal": None})["id"]
        # What is immutable and never told counts as sent, as it does in a whole record.
        store(key, {name: item for name, item in stored(key).items() if name != "seal"})
        changed = self.change(client, "loud_shop", key, {"city": "Bonn"}, "address.city")
        assert changed["address"]["street"] == "MAIN"
        assert changed["address"]["city"] == "Bonn"
        assert stored(key)["code"] == "s3cret"

    def test_it_is_not_called_for_what_is_wrong(self, client: ServiceClient) -> None:
        key = new(client)["id"]
        for mask, address, expected in (
            ("address.city", {"city": "Nowhere"}, {"address": "VALUE_ERROR"}),
            ("address.country", {"country": "fr"}, {"address.country": "IMMUTABLE"}),
        ):
            error = refused(
                client,
                "own_shops.update",
                id=key,
                own_shop={"address": address},
                update_mask=[mask],
            )
            assert fields_of(error) == expected

    def test_its_batches_are_given_them_too(self, client: ServiceClient) -> None:
        keys = [new(client)["id"], new(client)["id"]]
        requests = [
            {
                "id": key,
                "own_shop": {"address": {"city": f"City {key}"}},
                "update_mask": ["address.city"],
            }
            for key in keys
        ]
        changed = value(client.call("own_shops.batch_update", {"requests": requests}))["items"]
        assert [item["address"]["city"] for item in changed] == [f"City {key}" for key in keys]
        assert [item["address"]["street"] for item in changed] == ["Main", "Main"]


def test_two_updates_of_two_paths_at_once_both_hold(live: LiveServer) -> None:
    grpc, rest = CLIENTS["grpc"](live), CLIENTS["rest"](live)
    key = new(grpc)["id"]
    rounds = 15

    def count(client: ServiceClient, name: str) -> None:
        for number in range(rounds):
            changed = update(client, key, [f"address.{name}"], address={name: f"{number}"})
            assert changed["address"][name] == f"{number}"

    with ThreadPoolExecutor(2) as pool:
        for work in [pool.submit(count, grpc, "city"), pool.submit(count, rest, "zip")]:
            work.result()
    last = f"{rounds - 1}"
    assert value(grpc.call("shops.get", {"id": key}))["address"] == {
        **SEEN, "city": last, "zip": last, "label": f"MAIN, {last}",
    }  # fmt: skip
    grpc.close()
    rest.close()


def test_the_query_of_rest_takes_paths_with_commas(live: LiveServer) -> None:
    rest: Any = CLIENTS["rest"](live)
    key = new(rest)["id"]
    changed = rest.http.patch(
        f"/shops/{key}?update_mask=address.city,address.point.lon",
        json={"address": {"city": "Bonn", "point": {"lon": 7}}},
    ).json()
    assert changed["address"]["city"] == "Bonn"
    assert changed["address"]["point"] == {"lat": 48.5, "lon": 7.0, "source": None}
    rest.close()
