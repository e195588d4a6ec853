"""Log lines are JSON, and tell which request they are about."""

import json
import logging

import httpx2
import pytest
from bali.testing import LiveServer

from clients.fakes import AsyncFakeUserClient
from core.environment import SERVICE
from core.logging import JsonFormatter


def test_a_line_has_the_request_id(
    live: LiveServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    users = AsyncFakeUserClient()
    users.respond("get_user", {"id": 1, "name": "ann"})
    monkeypatch.setattr("resources.order.users", users)
    caplog.handler.setFormatter(JsonFormatter())
    caplog.set_level(logging.INFO)
    order = {"user_id": 1, "item": "tea", "price": "2.50"}
    headers = {"x-request-id": "test-7"}
    httpx2.post(f"{live.url}/orders/place", json=order, headers=headers)
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    line = next(line for line in lines if line["message"].startswith("placed order"))
    assert (line["service"], line["request_id"]) == (SERVICE, "test-7")
    calls = [line for line in lines if line["logger"] == "bali.access"]
    assert [(call["code"], call["trace_id"]) for call in calls] == [("OK", line["trace_id"])]
