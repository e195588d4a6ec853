"""The plain HTTP routes and the probes."""

import httpx2
from bali.testing import LiveServer


def test_orders_are_counted(live: LiveServer) -> None:
    assert httpx2.get(f"{live.url}/orders/count").json() == {"count": 0}


def test_the_service_is_ready(live: LiveServer) -> None:
    assert httpx2.get(f"{live.url}/readyz").status_code == 200
