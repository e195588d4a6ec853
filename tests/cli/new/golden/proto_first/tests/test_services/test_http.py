"""The plain HTTP routes and the probes."""

import httpx2
from bali.testing import LiveServer


def test_the_active_ones_are_counted(live: LiveServer) -> None:
    with httpx2.Client(base_url=live.url) as http:
        assert http.get("/users/count").json() == {"count": 0}
        assert http.post("/users", json={"name": "ann"}).status_code == 201
        assert http.get("/users/count").json() == {"count": 1}
        assert http.get("/users/count", params={"is_active": False}).json() == {"count": 0}


def test_the_service_is_ready(live: LiveServer) -> None:
    assert httpx2.get(f"{live.url}/readyz").status_code == 200
