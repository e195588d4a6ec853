"""What the AIPs promise of a resource holds over every protocol, on every database."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import httpx2
import pytest

from bali.concurrency import run_blocking
from bali.errors import Aborted, Code
from bali.testing import LiveServer, RestServiceClient, RpcServiceClient, ServiceClient
from tests.behaviour.contract_service import Note, db, make_app
from tests.protocols import ANN, BOB, DATABASES, NOWHERE, fields_of, live_on, refused, value


@pytest.fixture(scope="module", params=DATABASES)
def live(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    with live_on(request, tmp_path_factory, db, make_app) as server:
        yield server


@pytest.fixture
def title() -> str:
    return f"n-{uuid.uuid4().hex[:12]}"


def create(client: ServiceClient, metadata: Any = None, **fields: Any) -> dict[str, Any]:
    return value(client.call("notes.create", {"note": fields}, metadata=metadata))


def get(client: ServiceClient, key: int, **arguments: Any) -> dict[str, Any]:
    return value(client.call("notes.get", {"id": key, **arguments}))


def stored(title: str) -> list[Any]:
    """Return the rows whose titles begin so, whoever sees them."""
    notes: list[Any] = list(run_blocking(Note.aio.filter(title__startswith=title, order_by="id")))
    return notes


def etag_of(client: ServiceClient, key: int) -> str:
    """Return the etag that this protocol gives with an item."""
    if isinstance(client, RestServiceClient):
        return str(client.http.get(f"/notes/{key}").headers["etag"])
    if isinstance(client, RpcServiceClient):
        method = client._method("notes.get")
        stub = client.channel.unary_unary(
            method.path, method.input_type.SerializeToString, method.output_type.FromString
        )
        _, call = stub.with_call(method.encode_request({"id": key}))
        return str(dict(call.trailing_metadata())["etag"])
    live = client.live
    return str(httpx2.get(f"{live.url}/notes/{key}").headers["etag"])


class TestEtag:
    def test_a_change_needs_the_present_one(self, client: ServiceClient, title: str) -> None:
        note = create(client, title=title)
        first = etag_of(client, note["id"])
        assert first.startswith('"')
        assert etag_of(client, note["id"]) == first
        changed = value(
            client.call("notes.update", {"id": note["id"], "note": {"stars": 1}, "etag": first})
        )
        assert changed["stars"] == 1
        assert etag_of(client, note["id"]) != first
        for operation, arguments in (
            ("notes.update", {"id": note["id"], "note": {"stars": 2}, "etag": first}),
            ("notes.delete", {"id": note["id"], "etag": first}),
        ):
            error = refused(client, operation, **arguments)
            assert (error.code, error.http_status) == (Code.ABORTED, 412)
            assert error.reason == "ETAG_MISMATCH"
        assert [item.stars for item in stored(title)] == [1]
        client.call("notes.delete", {"id": note["id"], "etag": etag_of(client, note["id"])})
        gone = refused(client, "notes.get", id=note["id"])
        assert gone.code is Code.NOT_FOUND

    def test_an_empty_one_and_a_star_fit_whatever_there_is(
        self, client: ServiceClient, title: str
    ) -> None:
        note = create(client, title=title)
        for etag in ("", "*"):
            client.call("notes.update", {"id": note["id"], "note": {"stars": 3}, "etag": etag})
        error = refused(client, "notes.update", id=NOWHERE, note={"stars": 3}, etag="*")
        assert error.code is Code.NOT_FOUND

    def test_it_is_the_version_where_there_is_one(self, client: ServiceClient, title: str) -> None:
        key = title[:20]
        client.call("counted.create", {"counter": {"id": key, "value": 1}})
        for version in (1, 2):
            made = value(
                client.call(
                    "counted.update",
                    {"id": key, "counter": {"value": version * 10}, "etag": f'"{version}"'},
                )
            )
            assert made["version"] == version + 1
        error = refused(client, "counted.update", id=key, counter={"value": 5}, etag='"1"')
        assert error.reason == "ETAG_MISMATCH"

    def test_a_batch_checks_each(self, client: ServiceClient, title: str) -> None:
        notes = [create(client, title=f"{title}-{n}") for n in range(2)]
        etags = [etag_of(client, note["id"]) for note in notes]
        requests = [
            {"id": note["id"], "note": {"stars": 7}, "etag": etag}
            for note, etag in zip(notes, etags, strict=True)
        ]
        client.call("notes.batch_update", {"requests": requests})
        error = refused(client, "notes.batch_update", requests=requests)
        assert error.reason == "ETAG_MISMATCH"
        assert [item.stars for item in stored(title)] == [7, 7]

    def test_one_of_many_wins(self, client: ServiceClient, title: str) -> None:
        note = create(client, title=title)
        etag = etag_of(client, note["id"])

        def change(number: int) -> int:
            arguments = {"id": note["id"], "note": {"stars": number + 1}, "etag": etag}
            try:
                client.call("notes.update", arguments)
            except Aborted:
                return 0
            return number + 1

        with ThreadPoolExecutor(4) as pool:
            done = [stars for stars in pool.map(change, range(4)) if stars]
        assert [item.stars for item in stored(title)] == done


class TestEtagOverHttp:
    def test_headers_say_the_same(self, live: LiveServer, title: str) -> None:
        with httpx2.Client(base_url=live.url) as http:
            made = http.post("/notes", json={"title": title, "labels": {"b": 1, "a": [2]}})
            path, etag = made.headers["location"], made.headers["etag"]
            assert http.get(path).headers["etag"] == etag
            same = http.get(path, headers={"If-None-Match": f'"x", W/{etag}'})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["etag"] == etag
            assert http.get(path, headers={"If-None-Match": '"x"'}).status_code == 200
            changed = http.patch(path, json={"stars": 1}, headers={"If-Match": f'"x", {etag}'})
            assert changed.status_code == 200
            assert http.get(path).headers["etag"] == changed.headers["etag"] != etag
            late = http.patch(path, json={"stars": 2}, headers={"If-Match": etag})
            assert (late.status_code, late.json()["reason"]) == (412, "ETAG_MISMATCH")
            both = http.delete(path, params={"etag": '"y"'}, headers={"If-Match": etag})
            assert (both.status_code, both.json()["errors"][0]["field"]) == (422, "etag")
            weak = http.delete(path, headers={"If-Match": f"W/{changed.headers['etag']}"})
            assert weak.status_code == 412
            gone = http.delete(path, headers={"If-Match": changed.headers["etag"]})
            assert gone.status_code == 204

    def test_the_protocols_agree(self, live: LiveServer, title: str) -> None:
        rest, rpc = RestServiceClient(live), RpcServiceClient(live)
        note = create(rest, title=title, labels={"z": {"y": 1, "x": 2}}, text="t")
        assert etag_of(rest, note["id"]) == etag_of(rpc, note["id"])
        rest.close()
        rpc.close()


class TestRepeats:
    def test_a_request_with_an_id_is_done_once(self, client: ServiceClient, title: str) -> None:
        arguments = {"note": {"title": title, "stars": 3}, "request_id": str(uuid.uuid4())}
        first = value(client.call("notes.create", arguments))
        assert value(client.call("notes.create", arguments)) == first
        assert len(stored(title)) == 1
        change = {"id": first["id"], "note": {"stars": 4}, "request_id": str(uuid.uuid4())}
        changed = value(client.call("notes.update", change))
        client.call("notes.update", {"id": first["id"], "note": {"stars": 9}})
        assert value(client.call("notes.update", change)) == changed
        assert [item.stars for item in stored(title)] == [9]
        removal = {"id": first["id"], "request_id": str(uuid.uuid4())}
        assert client.call("notes.delete", removal) is None
        assert client.call("notes.delete", removal) is None

    def test_an_id_holds_for_one_request(self, client: ServiceClient, title: str) -> None:
        request_id = str(uuid.uuid4())
        client.call("notes.create", {"note": {"title": title}, "request_id": request_id})
        error = refused(client, "notes.create", note={"title": f"{title}2"}, request_id=request_id)
        assert fields_of(error) == {"request_id": "REQUEST_ID_REUSED"}
        mine = {"title": f"{title}3", "owner": "ann"}
        arguments = {"note": mine, "request_id": request_id}
        assert value(client.call("notes.create", arguments, metadata=ANN))["title"] == mine["title"]
        assert len(stored(title)) == 2

    def test_what_failed_may_be_tried_again(self, client: ServiceClient, title: str) -> None:
        create(client, title=title)
        arguments = {"note": {"title": title}, "request_id": str(uuid.uuid4())}
        for _ in range(2):
            assert refused(client, "notes.create", **arguments).code is Code.ALREADY_EXISTS
        client.call("notes.delete", {"id": stored(title)[0].id})

    def test_two_at_once_are_one(self, client: ServiceClient, title: str) -> None:
        arguments = {"note": {"title": title}, "request_id": str(uuid.uuid4())}
        with ThreadPoolExecutor(5) as pool:
            answers = list(
                pool.map(lambda _: value(client.call("notes.create", arguments)), range(5))
            )
        assert answers == [answers[0]] * 5
        assert len(stored(title)) == 1

    @pytest.mark.parametrize("request_id", ["x" * 129, "a b", "ü"])
    def test_an_id_is_short_and_plain(
        self, client: ServiceClient, title: str, request_id: str
    ) -> None:
        error = refused(client, "notes.create", note={"title": title}, request_id=request_id)
        assert list(fields_of(error)) == ["request_id"]

    def test_http_has_a_header_for_it(self, live: LiveServer, title: str) -> None:
        headers = {"Idempotency-Key": f'"{uuid.uuid4()}"'}
        answers = [
            httpx2.post(f"{live.url}/notes", json={"title": title}, headers=headers)
            for _ in range(2)
        ]
        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[0].json() == answers[1].json()
        assert answers[0].headers["etag"] == answers[1].headers["etag"]


class TestValidateOnly:
    def test_nothing_is_kept(self, client: ServiceClient, title: str) -> None:
        tried = value(
            client.call(
                "notes.create",
                {"note": {"title": title}, "validate_only": True, "request_id": title},
            )
        )
        assert tried["title"] == title
        assert stored(title) == []
        note = create(client, title=title)
        arguments = {"id": note["id"], "note": {"stars": 5}, "validate_only": True}
        assert value(client.call("notes.update", arguments))["stars"] == 5
        client.call("notes.delete", {"id": note["id"], "validate_only": True})
        assert [item.stars for item in stored(title)] == [0]
        error = refused(client, "notes.create", note={"title": title}, validate_only=True)
        assert error.code is Code.ALREADY_EXISTS

    def test_batches_too(self, client: ServiceClient, title: str) -> None:
        requests = [{"note": {"title": f"{title}-{n}"}} for n in range(3)]
        found = client.call("notes.batch_create", {"requests": requests, "validate_only": True})
        assert len(value(found)["items"]) == 3
        assert stored(title) == []


class TestSoftDelete:
    def test_what_is_deleted_is_hidden_and_can_be_taken_back(
        self, client: ServiceClient, title: str
    ) -> None:
        note = create(client, title=title)
        client.call("notes.delete", {"id": note["id"]})
        assert refused(client, "notes.get", id=note["id"]).code is Code.NOT_FOUND
        assert refused(client, "notes.delete", id=note["id"]).code is Code.NOT_FOUND
        error = refused(client, "notes.update", id=note["id"], note={"stars": 1})
        assert (error.code, error.reason) == (Code.FAILED_PRECONDITION, "DELETED")
        hidden = get(client, note["id"], show_deleted=True)
        assert hidden["deleted_time"] < hidden["purge_time"]
        arguments: dict[str, Any] = {"filter": f"title = {title}", "with_total": True}
        assert value(client.call("notes.list", arguments))["total"] == 0
        arguments["show_deleted"] = True
        assert value(client.call("notes.list", arguments))["total"] == 1
        back = value(client.call("notes.undelete", {"id": note["id"]}))
        assert (back["deleted_time"], back["purge_time"]) == (None, None)
        assert get(client, note["id"])["title"] == title
        error = refused(client, "notes.undelete", id=note["id"])
        assert (error.code, error.reason) == (Code.ALREADY_EXISTS, "NOT_DELETED")
        assert refused(client, "notes.undelete", id=NOWHERE).code is Code.NOT_FOUND

    def test_a_token_knows_whether_deleted_ones_count(
        self, client: ServiceClient, title: str
    ) -> None:
        for n in range(3):
            create(client, title=f"{title}-{n}")
        arguments: dict[str, Any] = {"filter": f"title = {title}*", "page_size": 1}
        token = value(client.call("notes.list", arguments))["next_page_token"]
        error = refused(client, "notes.list", **arguments, page_token=token, show_deleted=True)
        assert error.reason == "PAGE_TOKEN_MISMATCH"

    def test_nobody_sets_the_times(self, client: ServiceClient, title: str) -> None:
        note = create(client, title=title, deleted_time="2020-01-01T00:00:00Z")
        assert note["deleted_time"] is None


class TestBatch:
    def test_the_order_is_that_of_the_request(self, client: ServiceClient, title: str) -> None:
        requests = [{"note": {"title": f"{title}-{n}", "stars": n}} for n in range(5)]
        made = value(client.call("notes.batch_create", {"requests": requests}))["items"]
        assert [item["stars"] for item in made] == list(range(5))
        ids = [item["id"] for item in made][::-1]
        found = value(client.call("notes.batch_get", {"ids": ids}))["items"]
        assert found == made[::-1]
        changes = [{"id": key, "note": {"stars": n * 10}} for n, key in enumerate(ids)]
        changed = value(client.call("notes.batch_update", {"requests": changes}))["items"]
        assert [item["id"] for item in changed] == ids
        assert changed == value(client.call("notes.batch_get", {"ids": ids}))["items"]
        assert [item["stars"] for item in changed] == [0, 10, 20, 30, 40]
        assert client.call("notes.batch_delete", {"ids": ids}) is None
        assert value(client.call("notes.list", {"filter": f"title = {title}*"}))["items"] == []

    def test_all_or_none(self, client: ServiceClient, title: str) -> None:
        create(client, title=f"{title}-1")
        requests = [{"note": {"title": f"{title}-{n}"}} for n in range(3)]
        assert refused(client, "notes.batch_create", requests=requests).code is Code.ALREADY_EXISTS
        assert len(stored(title)) == 1
        key = stored(title)[0].id
        changes = [{"id": key, "note": {"stars": 1}}, {"id": NOWHERE, "note": {"stars": 1}}]
        error = refused(client, "notes.batch_update", requests=changes)
        assert (error.code, str(NOWHERE) in error.detail) == (Code.NOT_FOUND, True)
        for operation in ("notes.batch_delete", "notes.batch_get"):
            assert refused(client, operation, ids=[key, NOWHERE]).code is Code.NOT_FOUND
        assert [item.stars for item in stored(title)] == [0]

    def test_each_request_is_validated(self, client: ServiceClient, title: str) -> None:
        requests: list[dict[str, Any]] = [{"note": {"title": title}}, {"note": {"stars": 1}}]
        error = refused(client, "notes.batch_create", requests=requests)
        assert fields_of(error) == {"requests[1].title": "REQUIRED"}
        requests[1] = {"note": {"title": title}, "request_id": "x"}
        error = refused(client, "notes.batch_create", requests=requests)
        assert fields_of(error) == {"requests[1].request_id": "UNKNOWN_FIELD"}
        twice = [{"id": 1, "note": {"stars": 1}}, {"id": 1, "note": {"stars": 2}}]
        error = refused(client, "notes.batch_update", requests=twice)
        assert fields_of(error) == {"requests[1].id": "DUPLICATE"}
        masked = [{"id": 1, "note": {"stars": 1}, "update_mask": ["id"]}]
        error = refused(client, "notes.batch_update", requests=masked)
        assert fields_of(error) == {"requests[0].update_mask": "OUTPUT_ONLY"}

    def test_a_batch_is_bounded(self, client: ServiceClient, title: str) -> None:
        many = [{"note": {"title": f"{title}-{n}"}} for n in range(1001)]
        assert fields_of(refused(client, "notes.batch_create", requests=many)) == {
            "requests": "TOO_LONG"
        }
        assert "requests" in fields_of(refused(client, "notes.batch_create", requests=[]))
        assert "ids" in fields_of(refused(client, "notes.batch_get", ids=list(range(1, 1002))))
        assert stored(title) == []

    def test_a_mask_clears(self, client: ServiceClient, title: str) -> None:
        note = create(client, title=title, text="x", stars=2)
        change = {"id": note["id"], "note": {"text": None}, "update_mask": ["text"]}
        changed = value(client.call("notes.batch_update", {"requests": [change]}))["items"][0]
        assert (changed["text"], changed["stars"]) == (None, 2)

    def test_code_of_the_single_action_runs(self, client: ServiceClient, title: str) -> None:
        note = create(client, title=title)
        requests = [{"comment": {"note_id": note["id"], "words": word}} for word in ("Yes", "NO")]
        made = value(client.call("comments.batch_create", {"requests": requests}))["items"]
        assert [item["words"] for item in made] == ["yes", "no"]


class TestOwnership:
    def test_what_belongs_to_others_is_not_there(self, client: ServiceClient, title: str) -> None:
        own = create(client, ANN, title=f"{title}-a", owner="ann")
        calls: list[tuple[str, dict[str, Any]]] = [
            ("notes.get", {"id": own["id"]}),
            ("notes.get", {"id": own["id"], "show_deleted": True}),
            ("notes.update", {"id": own["id"], "note": {"stars": 1}}),
            ("notes.update", {"id": own["id"], "note": {"stars": 1}, "etag": '"x"'}),
            ("notes.delete", {"id": own["id"]}),
            ("notes.undelete", {"id": own["id"]}),
            ("notes.star", {"id": own["id"], "reason": "mine now"}),
            ("notes.batch_get", {"ids": [own["id"]]}),
            ("notes.batch_update", {"requests": [{"id": own["id"], "note": {"stars": 1}}]}),
            ("notes.batch_delete", {"ids": [own["id"]]}),
        ]
        for operation, arguments in calls:
            error = refused(client, operation, BOB, **arguments)
            missing = refused(
                client,
                operation,
                BOB,
                **{
                    **arguments,
                    **({"id": NOWHERE} if "id" in arguments else {}),
                    **({"ids": [NOWHERE]} if "ids" in arguments else {}),
                    **(
                        {"requests": [{"id": NOWHERE, "note": {"stars": 1}}]}
                        if "requests" in arguments
                        else {}
                    ),
                },
            )
            assert (error.code, error.reason) == (Code.NOT_FOUND, missing.reason), operation
            assert error.detail.replace(str(own["id"]), "") == missing.detail.replace(
                str(NOWHERE), ""
            )
        arguments = {"filter": f"title = {title}*", "with_total": True}
        for metadata, total in ((BOB, 0), (ANN, 1), (None, 1)):
            page = value(client.call("notes.list", arguments, metadata=metadata))
            assert (len(page["items"]), page["total"]) == (total, total)
        assert [(item.stars, item.deleted_time) for item in stored(title)] == [(0, None)]

    def test_nothing_is_made_or_given_to_others(self, client: ServiceClient, title: str) -> None:
        calls: list[tuple[str, dict[str, Any]]] = [
            ("notes.create", {"note": {"title": f"{title}-x", "owner": "ann"}}),
            ("notes.batch_create", {"requests": [{"note": {"title": f"{title}-y"}}]}),
        ]
        own = create(client, BOB, title=title, owner="bob")
        calls.append(("notes.update", {"id": own["id"], "note": {"owner": "ann"}}))
        for operation, arguments in calls:
            error = refused(client, operation, BOB, **arguments)
            assert (error.code, error.reason) == (Code.PERMISSION_DENIED, "NOT_VISIBLE")
        assert [item.owner for item in stored(title)] == ["bob"]

    def test_a_page_token_of_somebody_else_opens_nothing(
        self, client: ServiceClient, title: str
    ) -> None:
        for n in range(3):
            create(client, ANN, title=f"{title}-{n}", owner="ann")
        arguments: dict[str, Any] = {"filter": f"title = {title}*", "page_size": 1}
        first = value(client.call("notes.list", arguments, metadata=ANN))
        token = first["next_page_token"]
        found = client.call("notes.list", {**arguments, "page_token": token}, metadata=BOB)
        assert value(found)["items"] == []


class TestObjectPermissions:
    def test_each_item_is_asked_for(self, client: ServiceClient, title: str) -> None:
        note = create(client, title=title)
        comments = [
            value(
                client.call(
                    "comments.create",
                    {"comment": {"note_id": note["id"], "words": "w", "author": author}},
                )
            )["id"]
            for author in ("ann", "bob")
        ]
        calls: list[tuple[str, dict[str, Any]]] = [
            ("comments.get", {"id": comments[0]}),
            ("comments.update", {"id": comments[0], "comment": {"words": "x"}}),
            ("comments.delete", {"id": comments[0]}),
            ("comments.shout", {"id": comments[0]}),
            ("comments.batch_get", {"ids": [comments[1], comments[0]]}),
            (
                "comments.batch_update",
                {"requests": [{"id": key, "comment": {"words": "x"}} for key in comments]},
            ),
            ("comments.batch_delete", {"ids": comments}),
        ]
        for operation, arguments in calls:
            assert refused(client, operation, BOB, **arguments).code is Code.PERMISSION_DENIED
            assert refused(client, operation, **arguments).code is Code.UNAUTHENTICATED
        shout = client.call("comments.shout", {"id": comments[1]}, metadata=BOB)
        assert value(shout)["result"] == "W"
        client.call("comments.delete", {"id": comments[1]}, metadata=BOB)
        found = client.call("comments.get", {"id": comments[0]}, metadata=ANN)
        assert value(found)["words"] == "w"


def test_an_etag_of_grpc_is_in_the_trailing_metadata(live: LiveServer, title: str) -> None:
    client = RpcServiceClient(live)
    note = create(client, title=title)
    assert etag_of(client, note["id"]).startswith('"')
    with pytest.raises(grpc.RpcError):
        etag_of(client, NOWHERE)
    client.close()
