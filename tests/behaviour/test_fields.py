"""Field behaviour (AIP-203) and read masks (AIP-157) are the same over every protocol."""

from __future__ import annotations

import logging
import uuid
from typing import Any

import pytest

from bali.errors import Code
from bali.testing import LiveServer, ServiceClient
from tests.behaviour.accounts import SECRET
from tests.behaviour.test_behaviour import refused
from tests.protocols import CLIENTS, fields_of, value


def new(client: ServiceClient, **fields: Any) -> dict[str, Any]:
    account = {
        "login": f"a-{uuid.uuid4().hex[:12]}",
        "password": SECRET,
        "token": "t0ken",
        "country": "de",
        "name": "Ann",
        "pins": [{"door": "front", "hint": "usual", "code": SECRET}],
        "main": {"door": "back", "code": SECRET},
        **fields,
    }
    return value(client.call("accounts.create", {"account": account}))


SEEN = {
    "id", "login", "country", "name", "pins", "main", "title", "created_time", "updated_time",
    "is_active",
}  # fmt: skip


class TestInputOnly:
    def test_it_is_in_no_answer(self, client: ServiceClient) -> None:
        made = new(client)
        key = {"id": made["id"]}
        answers = [
            made,
            value(client.call("accounts.get", key)),
            value(client.call("accounts.update", {**key, "account": {"password": "new"}})),
            value(client.call("accounts.rename", {**key, "name": "Bob"})),
            *map(value, client.stream("accounts.follow", key)),
            *value(client.call("accounts.list", {"login": made["login"]}))["items"],
        ]
        for answer in answers:
            assert answer.keys() == SEEN
            assert answer["pins"] == [{"door": "front", "hint": "usual"}]
            assert answer["main"] == {"door": "back", "hint": None}
        [last] = [
            item
            for item in value(client.call("accounts.found", {"order_by": "id desc"}))["items"]
            if item["id"] == made["id"]
        ]
        assert last.keys() == SEEN

    def test_it_is_in_no_answer_that_is_read_without_the_orm(self, client: ServiceClient) -> None:
        key = {"id": new(client)["id"]}
        assert value(client.call("plain_accounts.get", key)).keys() == SEEN - {
            "pins", "main", "title",
        }  # fmt: skip
        for item in value(client.call("plain_accounts.list", {}))["items"]:
            assert "password" not in item

    def test_it_is_taken_out_of_what_an_action_returns(self, client: ServiceClient) -> None:
        sent = {"login": "x", "password": SECRET, "pins": [{"door": "d", "code": SECRET}]}
        answer = value(client.call("accounts.echo", sent))
        assert SECRET not in str(answer)
        assert answer["login"] == "x"

    def test_it_is_needed_where_the_schema_says_so(self, client: ServiceClient) -> None:
        error = refused(client, "accounts.create", account={"login": "x"})
        assert fields_of(error) == {"password": "REQUIRED"}

    @pytest.mark.parametrize(
        "arguments",
        [
            {"order_by": "password"},
            {"order_by": "token desc"},
            {"filter": 'password = "x"'},
            {"filter": "token:*"},
            {"read_mask": ["password"]},
            {"read_mask": ["main.code"]},
            {"read_mask": ["pins.*.code"]},
        ],
    )
    def test_it_cannot_be_learnt(self, client: ServiceClient, arguments: dict[str, Any]) -> None:
        error = refused(client, "accounts.list", **arguments)
        assert error.code is Code.INVALID_ARGUMENT
        assert error.field_errors[0].field in arguments
        error = refused(client, "plain_accounts.list", **{
            name: "password" if name != "read_mask" else ["password"] for name in arguments
        } if "filter" not in arguments else arguments)  # fmt: skip
        assert error.code is Code.INVALID_ARGUMENT

    def test_free_text_does_not_find_it(self, client: ServiceClient) -> None:
        made = new(client, password=f"needle-{uuid.uuid4().hex}")
        page = value(client.call("accounts.list", {"filter": '"needle"'}))
        assert made["id"] not in [item["id"] for item in page["items"]]

    def test_no_log_tells_it(self, client: ServiceClient, caplog: pytest.LogCaptureFixture) -> None:
        made = new(client)
        with caplog.at_level(logging.DEBUG, logger="bali"):
            error = refused(client, "accounts.broken", id=made["id"])
            assert error.code is Code.INTERNAL
        assert caplog.records
        formatter = logging.Formatter()
        for record in caplog.records:
            assert SECRET not in formatter.format(record)


class TestImmutable:
    def test_it_is_set_when_the_item_is_made(self, client: ServiceClient) -> None:
        assert new(client)["country"] == "de"

    @pytest.mark.parametrize("mask", [None, ["country", "name"], ["*"]])
    def test_another_value_is_refused(self, client: ServiceClient, mask: list[str] | None) -> None:
        made = new(client)
        error = refused(
            client,
            "accounts.update",
            id=made["id"],
            account={"country": "fr", "name": "Eve", "login": made["login"]},
            update_mask=mask,
        )
        assert (error.code, error.http_status) == (Code.INVALID_ARGUMENT, 422)
        assert fields_of(error) == {"country": "IMMUTABLE"}
        assert value(client.call("accounts.get", {"id": made["id"]})) == made

    @pytest.mark.parametrize("mask", [None, ["country", "login", "name"], ["*"]])
    def test_the_same_value_is_accepted(
        self, client: ServiceClient, mask: list[str] | None
    ) -> None:
        made = new(client)
        account = {"country": "de", "login": made["login"], "name": "Eve"}
        changed = value(
            client.call(
                "accounts.update", {"id": made["id"], "account": account, "update_mask": mask}
            )
        )
        assert (changed["country"], changed["name"]) == ("de", "Eve")

    def test_a_mask_of_everything_keeps_what_is_absent(self, client: ServiceClient) -> None:
        made = new(client)
        changed = value(
            client.call(
                "accounts.update",
                {"id": made["id"], "account": {"name": "Eve"}, "update_mask": ["*"]},
            )
        )
        assert (changed["login"], changed["country"]) == (made["login"], "de")
        assert changed["main"] is None

    def test_it_cannot_be_cleared(self, client: ServiceClient) -> None:
        made = new(client)
        error = refused(
            client, "accounts.update", id=made["id"], account={}, update_mask=["country"]
        )
        assert fields_of(error) == {"country": "IMMUTABLE"}

    @pytest.mark.parametrize("token", ["t0ken", "other"])
    def test_one_that_is_input_only_cannot_be_guessed(
        self, client: ServiceClient, token: str
    ) -> None:
        made = new(client)
        error = refused(client, "accounts.update", id=made["id"], account={"token": token})
        assert fields_of(error) == {"token": "IMMUTABLE"}


class TestWithTheOtherPromises:
    def test_batches_keep_them(self, client: ServiceClient) -> None:
        login = f"a-{uuid.uuid4().hex[:12]}"
        requests = [{"account": {"login": f"{login}-{n}", "password": SECRET}} for n in range(2)]
        made = value(client.call("accounts.batch_create", {"requests": requests}))["items"]
        ids = [item["id"] for item in made]
        got = value(client.call("accounts.batch_get", {"ids": ids}))["items"]
        assert got == made
        assert all(item.keys() == SEEN for item in made)
        error = refused(
            client,
            "accounts.batch_update",
            requests=[
                {"id": ids[0], "account": {"name": "Eve"}},
                {"id": ids[1], "account": {"login": "other"}},
            ],
        )
        assert fields_of(error) == {"requests[1].login": "IMMUTABLE"}
        assert value(client.call("accounts.batch_get", {"ids": ids}))["items"] == made

    def test_a_repeated_request_is_answered_without_input(self, client: ServiceClient) -> None:
        account = {"login": f"a-{uuid.uuid4().hex[:12]}", "password": SECRET}
        arguments = {"account": account, "request_id": uuid.uuid4().hex}
        first = value(client.call("accounts.create", arguments))
        assert value(client.call("accounts.create", arguments)) == first
        assert first.keys() == SEEN

    def test_etags_say_nothing_of_it(self, live: LiveServer) -> None:
        rest: Any = CLIENTS["rest"](live)
        for plural, singular in (("accounts", "account"), ("plain-accounts", "plain_account")):
            made = new(rest)
            path = f"/{plural}/{made['id']}"
            etag = rest.http.get(path).headers["etag"]
            part = rest.http.get(path, params={"fields": "id"})
            assert (part.json(), part.headers["etag"]) == ({"id": made["id"]}, etag)
            changed = rest.http.patch(path, json={"password": "x"}, headers={"if-match": etag})
            assert changed.status_code == 200, (singular, changed.json())
        rest.close()


class TestReadMask:
    @pytest.mark.parametrize("operation", ["accounts", "plain_accounts"])
    def test_get_answers_with_these_fields_alone(
        self, client: ServiceClient, operation: str
    ) -> None:
        made = new(client)
        answer = value(
            client.call(f"{operation}.get", {"id": made["id"], "read_mask": ["login", "name"]})
        )
        assert answer == {"login": made["login"], "name": "Ann"}

    def test_list_masks_each_item(self, client: ServiceClient) -> None:
        made = new(client)
        page = value(
            client.call(
                "accounts.list",
                {"login": made["login"], "with_total": True, "read_mask": ["id", "main.door"]},
            )
        )
        assert page == {
            "items": [{"id": made["id"], "main": {"door": "back"}}],
            "next_page_token": "",
            "total": 1,
        }

    def test_a_page_token_is_good_for_another_mask(self, client: ServiceClient) -> None:
        for _ in range(2):
            new(client)
        first = value(client.call("plain_accounts.list", {"page_size": 1, "read_mask": ["name"]}))
        token = first["next_page_token"]
        second = value(
            client.call(
                "plain_accounts.list", {"page_size": 1, "page_token": token, "read_mask": ["id"]}
            )
        )
        assert second["items"][0].keys() == {"id"}

    def test_paths_go_into_records_and_items(self, client: ServiceClient) -> None:
        made = new(client)
        for mask, expected in (
            (["pins.*.door"], {"pins": [{"door": "front"}]}),
            (["pins.*"], {"pins": [{"door": "front", "hint": "usual"}]}),
            (["main.*", "main.hint"], {"main": {"door": "back", "hint": None}}),
            (["title"], {"title": made["title"]}),
            (["is_active", "updated_time"], None),
        ):
            answer = value(client.call("accounts.get", {"id": made["id"], "read_mask": mask}))
            assert answer == (expected or {name: made[name] for name in mask})

    @pytest.mark.parametrize("mask", [[], ["*"], ["id", "*"]])
    def test_no_mask_and_a_star_are_everything(
        self, client: ServiceClient, mask: list[str]
    ) -> None:
        made = new(client)
        assert value(client.call("accounts.get", {"id": made["id"], "read_mask": mask})) == made

    @pytest.mark.parametrize(
        ("path", "reason"),
        [
            ("nothing", "UNKNOWN_FIELD"),
            ("login.x", "UNKNOWN_FIELD"),
            ("pins.door", "UNKNOWN_FIELD"),
            ("main..door", "UNKNOWN_FIELD"),
            ("main.nothing", "UNKNOWN_FIELD"),
            ("*.door", "UNKNOWN_FIELD"),
            ("__dict__", "UNKNOWN_FIELD"),
            ("x" * 300, "TOO_LONG"),
            (".".join("x" * 40), "TOO_LONG"),
        ],
    )
    def test_what_leads_nowhere_is_refused(
        self, client: ServiceClient, path: str, reason: str
    ) -> None:
        error = refused(client, "accounts.list", read_mask=["id", path])
        assert (error.code, fields_of(error)) == (Code.INVALID_ARGUMENT, {"read_mask": reason})
        error = refused(client, "plain_accounts.get", id=1, read_mask=["id", path])
        assert fields_of(error) == {"read_mask": reason}

    def test_too_many_paths_are_refused(self, client: ServiceClient) -> None:
        error = refused(client, "accounts.list", read_mask=[f"a{n}" for n in range(200)])
        assert fields_of(error) == {"read_mask": "TOO_LONG"}

    def test_a_missing_item_is_not_found(self, client: ServiceClient) -> None:
        error = refused(client, "accounts.get", id=999_999_999, read_mask=["id"])
        assert error.code is Code.NOT_FOUND


def test_the_rest_query_has_another_name_for_it(live: LiveServer) -> None:
    rest = CLIENTS["rest"](live)
    made = new(rest)
    answer = value(rest.call("accounts.get", {"id": made["id"], "fields": "id,name"}))
    assert answer == {"id": made["id"], "name": "Ann"}
    rest.close()


def test_the_message_on_the_wire_lacks_what_is_not_named(live: LiveServer) -> None:
    rest = CLIENTS["rest"](live)
    made = new(rest)
    grpc: Any = CLIENTS["grpc"](live)
    method = grpc._method("accounts.get")
    stub = grpc.channel.unary_unary(
        method.path,
        request_serializer=method.input_type.SerializeToString,
        response_deserializer=method.output_type.FromString,
    )
    part = stub(method.encode_request({"id": made["id"], "read_mask": ["name", "main.door"]}))
    assert [field.name for field, _ in part.ListFields()] == ["name", "main"]
    assert [field.name for field, _ in part.main.ListFields()] == ["door"]
    whole = stub(method.encode_request({"id": made["id"]}))
    assert SECRET.encode() not in whole.SerializeToString()
    assert "password" in whole.DESCRIPTOR.fields_by_name
    grpc.close()
    rest.close()
