from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from starlette.testclient import TestClient

from bali.errors import (
    Aborted,
    BaliError,
    FieldError,
    Internal,
    ResourceExhausted,
    TooLarge,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from bali.rest import install_errors, problem
from tests.rest.service import make_app


def content_of(error: BaliError) -> tuple[dict[str, Any], dict[bytes, bytes]]:
    response = problem(error, "id-1")
    assert response.status_code == error.http_status
    return json.loads(bytes(response.body)), dict(response.raw_headers)


def test_a_problem_has_the_members_of_rfc_9457_and_ours() -> None:
    errors = [FieldError(field="a", reason="REQUIRED", description="is missing")]
    content, headers = content_of(ValidationFailed("wrong", field_errors=errors))
    assert content == {
        "type": "about:blank",
        "title": ValidationFailed().title,
        "status": 422,
        "code": "INVALID_ARGUMENT",
        "reason": "VALIDATION_FAILED",
        "detail": "wrong",
        "errors": [{"field": "a", "reason": "REQUIRED", "description": "is missing"}],
        "request_id": "id-1",
    }
    assert headers[b"content-type"] == b"application/problem+json"
    assert headers[b"x-request-id"] == b"id-1"


@pytest.mark.parametrize(
    ("error", "status", "header"),
    [
        (Unavailable(retry_after_seconds=0.2), 503, (b"retry-after", b"1")),
        (ResourceExhausted(retry_after_seconds=61), 429, (b"retry-after", b"61")),
        (Unauthenticated(), 401, (b"www-authenticate", b"Bearer")),
        (Aborted(), 409, None),
        (TooLarge(), 413, None),
        (Internal(), 500, None),
    ],
)
def test_statuses_and_headers(error: BaliError, status: int, header: Any) -> None:
    content, headers = content_of(error)
    assert content["status"] == status
    if header is None:
        assert not {b"retry-after", b"www-authenticate"} & headers.keys()
    else:
        assert headers[header[0]] == header[1]


def test_any_text_can_be_told() -> None:
    content, _ = content_of(Aborted("\ud800 \r\n ü"))
    assert content["detail"] == "\ud800 \r\n ü"


def raising(status: int, **options: Any) -> Any:
    app = FastAPI()
    install_errors(app)

    @app.get("/")
    async def fail() -> None:
        raise HTTPException(status_code=status, **options)

    return TestClient(app).get("/", follow_redirects=False)


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (400, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED", "UNAUTHENTICATED"),
        (402, "INVALID_ARGUMENT", "INVALID_ARGUMENT"),
        (403, "PERMISSION_DENIED", "PERMISSION_DENIED"),
        (404, "NOT_FOUND", "NOT_FOUND"),
        (405, "UNIMPLEMENTED", "METHOD_NOT_ALLOWED"),
        (409, "ABORTED", "ABORTED"),
        (413, "RESOURCE_EXHAUSTED", "REQUEST_TOO_LARGE"),
        (415, "INVALID_ARGUMENT", "UNSUPPORTED_MEDIA_TYPE"),
        (422, "INVALID_ARGUMENT", "VALIDATION_FAILED"),
        (429, "RESOURCE_EXHAUSTED", "RESOURCE_EXHAUSTED"),
        (499, "CANCELLED", "CANCELLED"),
        (500, "INTERNAL", "INTERNAL"),
        (501, "UNIMPLEMENTED", "UNIMPLEMENTED"),
        (502, "INTERNAL", "INTERNAL"),
        (503, "UNAVAILABLE", "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED"),
        (599, "INTERNAL", "INTERNAL"),
    ],
)
def test_what_fastapi_users_raise_is_a_problem(status: int, code: str, reason: str) -> None:
    response = raising(status, detail="because", headers={"X-Why": "because"})
    assert response.status_code == status
    content = response.json()
    assert (content["status"], content["code"], content["reason"]) == (status, code, reason)
    assert content["detail"] == "because"
    assert content["title"]
    assert response.headers["x-why"] == "because"


def test_a_401_of_a_user_keeps_its_challenge() -> None:
    assert raising(401).headers["www-authenticate"] == "Bearer"
    assert raising(401, headers={"WWW-Authenticate": "Basic"}).headers.get_list(
        "www-authenticate"
    ) == ["Basic"]


def test_a_detail_that_is_no_text_stays_as_it_is() -> None:
    assert raising(409, detail={"a": [1]}).json()["detail"] == {"a": [1]}


def test_a_status_that_is_no_error_has_no_problem() -> None:
    response = raising(304, headers={"ETag": "x"})
    assert (response.status_code, response.content, response.headers["etag"]) == (304, b"", "x")
    response = raising(307, headers={"Location": "/a"})
    assert (response.status_code, response.headers["location"]) == (307, "/a")


def test_plain_routes_name_their_wrong_fields(client: TestClient) -> None:
    response = client.post("/plain?limit=0", json={})
    assert response.headers["content-type"] == "application/problem+json"
    assert {(item["field"], item["reason"]) for item in response.json()["errors"]} == {
        ("limit", "GREATER_THAN_EQUAL"),
        ("name", "REQUIRED"),
    }
    response = client.post("/plain", content=b"{", headers={"content-type": "application/json"})
    assert (response.status_code, response.json()["reason"]) == (422, "VALIDATION_FAILED")


def test_an_unknown_address_and_a_users_404_are_told_apart(client: TestClient) -> None:
    assert client.get("/nothing").json()["reason"] == "UNKNOWN_ROUTE"
    missing = client.get("/plain/missing").json()
    assert (missing["reason"], missing["detail"]) == ("NOT_FOUND", "no such thing")


def test_an_unexpected_exception_of_a_plain_route(caplog: pytest.LogCaptureFixture) -> None:
    client = TestClient(make_app(), raise_server_exceptions=False)
    with caplog.at_level(logging.ERROR):
        response = client.get("/plain/broken", headers={"x-request-id": "id-7"})
    assert (response.status_code, response.json()["request_id"]) == (500, "id-7")
    assert "hunter2" not in response.text
    assert "id-7" in caplog.text
    assert "hunter2" in caplog.text
