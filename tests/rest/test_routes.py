from __future__ import annotations

import logging
from typing import Annotated, Any
from urllib.parse import quote

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.routing import iter_route_contexts
from starlette.testclient import TestClient

from bali.errors import AlreadyExists, BaliError
from bali.resources import Pipeline
from bali.rest import ActionRoute, resource_router
from tests.rest.service import Parcel, ParcelStore, make_app, make_specs

EVERYTHING = {
    "truth": True,
    "whole": -(2**63),
    "real": 0.1,
    "text": "\N{GRINNING FACE}\n",
    "raw": "/+8=",
    "money": "1.2300",
    "moment": "2026-01-02T03:04:05.678901Z",
    "day": "2026-01-02",
    "clock": "03:04:05",
    "span": "P1DT2S",
    "key": "12345678-1234-5678-1234-567812345678",
    "size": "large",
    "maybe": None,
    "stamps": ["AA==", ""],
    "prices": {"a": "0.10"},
    "shape": {"kind": "square", "side": 2.0, "stamp": "/w=="},
    "anything": {"a": [1, None]},
}


def parcel(client: TestClient, label: str = "a") -> dict[str, Any]:
    response = client.post("/parcels", json={"label": label})
    assert response.status_code == 201
    made: dict[str, Any] = response.json()
    return made


def problem(response: Any, status: int, reason: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    content: dict[str, Any] = response.json()
    assert (content["status"], content["reason"]) == (status, reason)
    assert content["request_id"] == response.headers["x-request-id"]
    return content


class TestStandardActions:
    def test_create_answers_201_with_the_address(self, client: TestClient) -> None:
        response = client.post("/parcels", json={"label": "a", "weight": "1.50"})
        assert response.status_code == 201
        assert response.headers["content-type"] == "application/json"
        assert response.json() == {
            "id": 1,
            "label": "a",
            "size": "small",
            "weight": "1.50",
            "address": None,
        }
        assert client.get(response.headers["location"]).json() == response.json()

    def test_delete_answers_204_without_a_body(self, client: TestClient) -> None:
        response = client.delete(f"/parcels/{parcel(client)['id']}")
        assert (response.status_code, response.content) == (204, b"")
        assert "content-type" not in response.headers
        assert "content-length" not in response.headers

    def test_an_empty_result_with_status_200_is_an_empty_object(self, client: TestClient) -> None:
        assert client.delete("/probes/sweep?hard=true").json() == {}

    def test_update_takes_the_present_keys(self, client: TestClient) -> None:
        parcel(client)
        assert client.patch("/parcels/1", json={"weight": "2"}).json()["weight"] == "2"
        updated = client.patch("/parcels/1", json={"weight": None}).json()
        assert (updated["weight"], updated["label"]) == (None, "a")
        masked = client.patch("/parcels/1?update_mask=size", json={"size": "large", "label": "z"})
        assert (masked.json()["size"], masked.json()["label"]) == ("large", "a")

    def test_list_takes_filters_and_former_names(self, client: TestClient) -> None:
        for label in "abc":
            parcel(client, label)
        page = client.get("/parcels", params={"limit": 1, "offset": 1, "with_total": "true"}).json()
        assert ([item["id"] for item in page["items"]], page["total"]) == ([2], 3)
        page = client.get("/parcels?id__in=1&id__in=3").json()
        assert [item["id"] for item in page["items"]] == [1, 3]

    def test_errors_of_the_store_have_their_status(self, client: TestClient) -> None:
        parcel(client)
        problem(client.post("/parcels", json={"label": "a"}), 409, "ALREADY_EXISTS")
        problem(client.get("/parcels/77"), 404, "NOT_FOUND")
        content = problem(client.post("/parcels", json={"sise": 1}), 422, "VALIDATION_FAILED")
        assert {(item["field"], item["reason"]) for item in content["errors"]} == {
            ("label", "REQUIRED"),
            ("sise", "UNKNOWN_FIELD"),
        }


class TestValues:
    def test_every_type_has_its_json_form_both_ways(self, client: TestClient) -> None:
        response = client.post("/probes/echo", json=EVERYTHING)
        assert response.json() == EVERYTHING

    def test_bytes_in_a_query_string_are_base64(self, client: TestClient) -> None:
        assert client.get("/probes/raw", params={"data": "/+8="}).json() == {"result": "/+8="}

    def test_hostile_bodies_are_refused(self, client: TestClient) -> None:
        headers = {"content-type": "application/json"}
        for body, reason in (
            (b"[" * 100_000, "TOO_DEEP"),
            (b'{"text": "\\ud800"}', "MALFORMED_JSON"),
            (b'{"whole": ' + b"9" * 5000 + b"}", "MALFORMED_JSON"),
            (b'{"real": NaN}', "MALFORMED_JSON"),
            (b'{"real": 1, "real": 2}', "DUPLICATE_KEY"),
        ):
            response = client.post("/probes/echo", content=body, headers=headers)
            problem(response, 400, reason)

    def test_a_number_beyond_64_bits_is_a_wrong_field(self, client: TestClient) -> None:
        response = client.post("/probes/echo", json={**EVERYTHING, "whole": 2**63})
        content = problem(response, 422, "VALIDATION_FAILED")
        assert [item["field"] for item in content["errors"]] == ["whole"]

    def test_a_body_that_is_not_json_is_refused(self, client: TestClient) -> None:
        problem(client.post("/parcels", data={"label": "a"}), 415, "UNSUPPORTED_MEDIA_TYPE")

    def test_the_body_may_come_in_pieces(self, client: TestClient) -> None:
        pieces = iter([b'{"lab', b'el": ', b'"a"}'])
        headers = {"content-type": "application/json"}
        assert client.post("/parcels", content=pieces, headers=headers).json()["label"] == "a"


class TestContext:
    def test_an_action_sees_the_call(self, client: TestClient) -> None:
        headers = {"x-request-id": "id-1", "x-request-timeout": "30", "x-thing": "1"}
        response = client.get("/probes/seen", headers=headers)
        seen = response.json()
        assert (seen["protocol"], seen["request_id"]) == ("rest", "id-1")
        assert seen["peer"] == "testclient:50000"
        assert 25 < seen["remaining"] <= 30
        assert seen["metadata"]["x-thing"] == "1"
        assert response.headers["x-request-id"] == "id-1"

    def test_an_action_may_send_headers(self, client: TestClient) -> None:
        response = client.get("/probes/seen")
        assert response.headers["x-kind"] == "a set-cookie: b"
        assert "set-cookie" not in response.headers
        assert response.headers["content-length"] == str(len(response.content))

    def test_a_wrong_timeout_is_refused(self, client: TestClient) -> None:
        response = client.get("/probes/seen", headers={"x-request-timeout": "soon"})
        assert "X-Request-Timeout" in problem(response, 400, "INVALID_TIMEOUT")["detail"]

    def test_a_deadline_that_passes_is_504(self, client: TestClient) -> None:
        response = client.post(
            "/probes/sleep", json={"seconds": 60}, headers={"x-request-timeout": "0.05"}
        )
        problem(response, 504, "DEADLINE_EXCEEDED")

    def test_credentials(self, client: TestClient) -> None:
        response = client.get("/probes/whoami")
        problem(response, 401, "UNAUTHENTICATED")
        assert response.headers["www-authenticate"] == "Bearer"
        response = client.get("/probes/whoami", headers={"authorization": "Bearer bad"})
        problem(response, 401, "INVALID_TOKEN")
        response = client.get("/probes/whoami", headers={"authorization": "Bearer ann-token"})
        assert response.json() == {"result": "ann"}

    def test_an_unexpected_exception_shows_a_request_id_alone(
        self, client: TestClient, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.ERROR):
            response = client.get("/probes/explode")
        content = problem(response, 500, "INTERNAL")
        assert "hunter2" not in response.text
        assert content["request_id"] in caplog.text

    def test_retrying_is_hinted_at(self, client: TestClient) -> None:
        response = client.get("/probes/busy")
        problem(response, 503, "UNAVAILABLE")
        assert response.headers["retry-after"] == "2"


class TestRouting:
    def test_a_static_path_is_not_a_key(self, client: TestClient) -> None:
        assert client.get("/parcels/census").json() == {"result": 0}
        response = client.delete("/parcels/census")
        problem(response, 405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "GET"

    def test_a_key_that_is_text_may_be_called_like_an_action(self, client: TestClient) -> None:
        assert client.get("/leaves/rake").json() == {"result": "rake"}
        assert client.post("/leaves/rake").json() == {"result": "raked"}

    @pytest.mark.parametrize("key", ["a/b", "a b", "ü", "/", "..a", "a//b/"])
    def test_a_key_may_hold_any_character(self, client: TestClient, key: str) -> None:
        assert client.get(f"/leaves/{quote(key, safe='')}").json() == {"result": key}

    def test_an_action_may_have_several_methods(self, client: TestClient) -> None:
        assert client.post("/parcels/import-labels", json={"labels": ["a"]}).json() == {"result": 1}
        assert client.put("/parcels/import-labels", json={"labels": ["b"]}).json() == {"result": 1}
        response = client.get("/parcels/import-labels")
        problem(response, 405, "METHOD_NOT_ALLOWED")
        assert response.headers["allow"] == "POST, PUT"

    def test_allow_names_the_methods_of_every_route_at_the_path(self, client: TestClient) -> None:
        assert client.put("/parcels").headers["allow"] == "GET, POST"
        assert client.put("/parcels/1").headers["allow"] == "DELETE, GET, PATCH"

    def test_nothing_at_an_address(self, client: TestClient) -> None:
        problem(client.get("/nothing"), 404, "UNKNOWN_ROUTE")

    def test_routes_have_names(self) -> None:
        app = make_app()
        assert app.url_path_for("parcels.get", id=3) == "/parcels/3"
        assert app.url_path_for("parcels.list") == "/parcels"
        names = {context.name for context in iter_route_contexts(app.routes)}
        assert {"parcels.create", "probes.ticks"} <= names

    def test_a_slash_at_the_end_is_redirected(self, client: TestClient) -> None:
        response = client.get("/parcels/", follow_redirects=False)
        assert response.status_code == 307
        assert response.headers["location"].endswith("/parcels")

    def test_deep_bodies_are_bounded_as_told(self) -> None:
        app = FastAPI()
        app.include_router(resource_router(make_specs()[1], Pipeline(), max_json_depth=2))
        body = {**EVERYTHING, "anything": {"a": {}}}
        response = TestClient(app).post("/probes/echo", json=body)
        problem(response, 400, "TOO_DEEP")

    def test_the_peer_may_be_told_by_somebody_else(self) -> None:
        app = FastAPI()
        app.include_router(resource_router(make_specs()[1], Pipeline(), lambda _: "10.1.1.1:9"))
        assert TestClient(app).get("/probes/seen").json()["peer"] == "10.1.1.1:9"


class TestFastAPI:
    """What FastAPI users do with a router works with a resource's."""

    def router_app(self, **options: Any) -> FastAPI:
        Parcel.__store__ = ParcelStore()
        app = FastAPI()
        app.include_router(resource_router(make_specs()[0], Pipeline()), **options)
        return app

    def test_a_router_alone_answers_with_problems(self) -> None:
        client = TestClient(self.router_app())
        problem(client.get("/parcels/1"), 404, "NOT_FOUND")

    def test_a_prefix_counts_for_the_location_too(self) -> None:
        client = TestClient(self.router_app(prefix="/api/v1"))
        response = client.post("/api/v1/parcels", json={"label": "a"})
        assert response.headers["location"] == "/api/v1/parcels/1"
        assert client.get("/api/v1/parcels/census").json() == {"result": 1}
        behind_proxy = TestClient(self.router_app(), root_path="/outside")
        response = behind_proxy.post("/parcels", json={"label": "b"})
        assert response.headers["location"] == "/outside/parcels/1"

    def test_dependencies_run_first(self) -> None:
        seen: list[str] = []

        async def guard(
            request: Request,
            response: Response,
            key: Annotated[str, Query()],
            x_who: Annotated[str | None, Header()] = None,
        ) -> Any:
            seen.append(key)
            if key != "open":
                raise HTTPException(status_code=403, detail="wrong key")
            await request.body()
            response.headers["x-guard"] = str(x_who)
            response.set_cookie("seen", "1")
            yield
            seen.append("closed")

        app = self.router_app(dependencies=[Depends(guard)])
        client = TestClient(app)
        response = client.post("/parcels?key=open", json={"label": "a"}, headers={"x-who": "ann"})
        assert (response.status_code, response.headers["x-guard"]) == (201, "ann")
        assert response.cookies["seen"] == "1"
        assert seen == ["open", "closed"]
        assert client.get("/parcels?key=open").json()["items"][0]["label"] == "a"
        assert client.get("/parcels?key=no").status_code == 403
        assert client.get("/parcels").status_code == 422
        assert client.get("/parcels/7?key=open").status_code == 404
        assert client.delete("/parcels?key=open").status_code == 405

    def test_dependencies_of_the_app_run_too_and_fail_as_problems(self) -> None:
        async def refuse() -> None:
            raise HTTPException(status_code=401, headers={"WWW-Authenticate": "Basic"})

        app = make_app(dependencies=[Depends(refuse)])
        response = TestClient(app).get("/parcels")
        problem(response, 401, "UNAUTHENTICATED")
        assert response.headers["www-authenticate"] == "Basic"

    def test_dependencies_and_streams(self) -> None:
        async def nothing() -> None:
            return None

        app = make_app(dependencies=[Depends(nothing)])
        client = TestClient(app)
        assert client.get("/probes/ticks?count=1").text == 'data: {"number":0}\n\n'
        problem(client.get("/probes/ticks?count=-1"), 422, "VALIDATION_FAILED")

    def test_without_dependencies_fastapis_handler_is_passed_by(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def never(*_: Any) -> None:
            raise AssertionError("FastAPI's handler was asked")

        monkeypatch.setattr("fastapi.routing.APIRoute.handle", never)
        client = TestClient(self.router_app())
        assert client.get("/parcels").status_code == 200

    def test_an_overridden_dependency_is_respected(self) -> None:
        async def original() -> None:
            raise HTTPException(status_code=418)

        app = self.router_app(dependencies=[Depends(original)])
        app.dependency_overrides[original] = lambda: None
        assert TestClient(app).get("/parcels").status_code == 200

    def test_a_users_handler_of_an_error_is_respected(self) -> None:
        async def conflict(_: Request, error: Exception) -> Response:
            assert isinstance(error, AlreadyExists)
            return PlainTextResponse("again?", status_code=409)

        for dependencies in ([], [Depends(lambda: None)]):
            app = make_app(dependencies=dependencies)
            app.add_exception_handler(AlreadyExists, conflict)
            client = TestClient(app)
            parcel(client)
            assert client.post("/parcels", json={"label": "a"}).text == "again?"
            problem(client.get("/parcels/9"), 404, "NOT_FOUND")

    def test_a_users_handler_of_every_error_is_respected(self) -> None:
        async def all_of_them(_: Request, error: Exception) -> Response:
            assert isinstance(error, BaliError)
            return PlainTextResponse(error.reason, status_code=400)

        app = self.router_app()
        app.add_exception_handler(BaliError, all_of_them)
        assert TestClient(app).get("/parcels/9").text == "NOT_FOUND"

    def test_a_route_is_overridden_by_one_declared_before(self) -> None:
        app = FastAPI()

        @app.get("/parcels/census")
        async def census() -> str:
            return "mine"

        app.include_router(resource_router(make_specs()[0], Pipeline()))
        assert TestClient(app).get("/parcels/census").json() == "mine"

    def test_a_body_limit_of_the_router_is_respected(self) -> None:
        client = TestClient(self.router_app(max_body_size=20))
        assert client.post("/parcels", json={"label": "a"}).status_code == 201
        assert client.post("/parcels", json={"label": "a" * 20}).status_code == 413

    def test_middleware_sees_the_request(self) -> None:
        app = self.router_app()

        @app.middleware("http")
        async def mark(request: Request, call_next: Any) -> Any:
            response = await call_next(request)
            response.headers["x-mark"] = "1"
            return response

        assert TestClient(app).get("/parcels").headers["x-mark"] == "1"

    def test_routes_are_action_routes(self) -> None:
        router = resource_router(make_specs()[0], Pipeline())
        assert all(isinstance(route, ActionRoute) for route in router.routes)
        paths = [getattr(route, "path", "") for route in router.routes]
        assert paths.index("/parcels/census") < paths.index("/parcels/{id}")
