"""Log lines are JSON, and tell which request they are about."""

import json
import logging

import httpx2
import pytest
from bali.testing import LiveServer

from core.environment import SERVICE
from core.logging import JsonFormatter


def test_a_line_has_the_request_id(live: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.handler.setFormatter(JsonFormatter())
    caplog.set_level(logging.INFO)
    with httpx2.Client(base_url=live.url, headers={"x-request-id": "test-7"}) as http:
        created = http.post("/users", json={"name": "ann"}).json()
        http.post(f"/users/{created['id']}/deactivate", json={"reason": "a test"})
    lines = [json.loads(line) for line in caplog.text.splitlines()]
    line = next(line for line in lines if line["message"] == "deactivated ann")
    assert (line["service"], line["request_id"], line["reason"]) == (SERVICE, "test-7", "a test")
    calls = [line for line in lines if line["logger"] == "bali.access"]
    assert [call["code"] for call in calls] == ["OK", "OK"]
    assert calls[1]["trace_id"] == line["trace_id"]
