from __future__ import annotations

from typing import Any

import pytest

from bali.server import ServerOptions


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"mode": "grpc"}, "mode is 'grpc'"),
        ({"workers": 0}, "workers is 0"),
        ({"keyfile": "key.pem"}, "without certfile"),
        ({"client_ca_file": "ca.pem"}, "without certfile"),
        ({"client_certificates": "never"}, "client_certificates is 'never'"),
    ],
)
def test_values_that_cannot_work_are_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        ServerOptions(**wrong)


def test_ports_and_schemes() -> None:
    assert ServerOptions().host == "127.0.0.1"
    assert ServerOptions().listening_port == 8000
    assert ServerOptions(mode="rpc").listening_port == 9080
    assert ServerOptions().scheme == "http"
    assert ServerOptions(certfile="x").scheme == "https"
