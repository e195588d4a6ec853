from __future__ import annotations

from starlette.testclient import TestClient

from tests.rest.service import make_app


def test_a_process_that_answers_is_alive(client: TestClient) -> None:
    response = client.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["cache-control"] == "no-store"
    assert client.head("/healthz").status_code == 200


def test_readiness_follows_the_app() -> None:
    app = make_app()
    client = TestClient(app)
    assert client.get("/readyz").status_code == 200
    app.state.is_ready = False
    response = client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["reason"] == "NOT_READY"
    assert response.headers["content-type"] == "application/problem+json"
    assert client.get("/healthz").status_code == 200


def test_probes_are_no_part_of_the_api(client: TestClient) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    assert "/healthz" not in paths
    assert "/readyz" not in paths
