from __future__ import annotations

import logging
from typing import Any

import pytest

from bali.errors import ConfigurationError
from bali.server import StartError
from bali.server.lifespan import Lifespan


async def test_state_is_what_startup_left() -> None:
    events: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert (await receive())["type"] == "lifespan.startup"
        scope["state"]["pool"] = "open"
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        events.append("closed")
        await send({"type": "lifespan.shutdown.complete"})

    lifespan = Lifespan(app)
    await lifespan.startup()
    assert lifespan.state == {"pool": "open"}
    assert await lifespan.shutdown()
    assert events == ["closed"]
    assert await lifespan.shutdown()


async def test_application_without_lifespan_is_served() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert scope["type"] == "http"

    lifespan = Lifespan(app)
    await lifespan.startup()
    assert await lifespan.shutdown()


async def test_error_at_startup_is_told() -> None:
    async def raising(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        raise LookupError("no database")

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})

    for app in (raising, failing):
        with pytest.raises(StartError, match="no database"):
            await Lifespan(app).startup()


async def test_a_mistake_of_the_author_is_told_without_a_trace() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "Traceback (most recent ..."})
        raise ConfigurationError("the address is wrong")

    with pytest.raises(StartError) as caught:
        await Lifespan(failing).startup()
    assert str(caught.value) == "the address is wrong"


async def test_error_at_shutdown_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def raising(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        raise LookupError("first")

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": "second"})

    with caplog.at_level(logging.ERROR):
        for app in (raising, failing):
            lifespan = Lifespan(app)
            await lifespan.startup()
            assert not await lifespan.shutdown()
    assert "first" in caplog.text
    assert "second" in caplog.text
