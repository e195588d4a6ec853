"""Sending the requests of an attack, and judging the answers."""

from __future__ import annotations

import asyncio
import collections
import json
import logging
from dataclasses import dataclass, field
from typing import Any

import grpc

from bali.testing import LiveServer
from benchmarks.attacks.requests import http_request, rpc_request
from benchmarks.attacks.service import ATTACKER, MARK, VICTIM, Letter, db, fill
from benchmarks.attacks.values import Draw

__all__ = ["Report", "attack"]

_CALL_SECONDS = 30.0
_UNEXPECTED = (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN, grpc.StatusCode.DATA_LOSS)


@dataclass(slots=True)
class Report:
    """What came of an attack: answers by protocol and status, and what must not have happened."""

    answers: collections.Counter[str] = field(default_factory=collections.Counter)
    unexpected: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    changed_rows: int = 0

    @property
    def is_clean(self) -> bool:
        """Whether the attack has failed."""
        return not (self.unexpected or self.leaks or self.changed_rows)


async def attack(live: LiveServer, count: int, *, seed: int = 0, at_once: int = 8) -> Report:
    """Send `count` requests, half over REST and half over gRPC, and return what came of them."""
    keys = await fill()
    before = await _rows(keys)
    tokens = await _tokens_of_the_victim(live)
    letter = {"owner": "victim", "subject": f"{MARK} again"}
    arguments = {"letter": letter, "request_id": f"victim-{seed}"}
    await live.app.call("letters.create", arguments, metadata=VICTIM)
    report = Report()
    share = -(-count // (2 * at_once))
    async with grpc.aio.insecure_channel(live.address) as channel:
        await asyncio.gather(
            *(
                _over_http(live, Draw(seed * 1000 + n, keys, tokens), share, report)
                for n in range(at_once)
            ),
            *(
                _over_rpc(live, channel, Draw(seed * 1000 + 500 + n, keys, tokens), share, report)
                for n in range(at_once)
            ),
        )
    after = await _rows(keys)
    report.changed_rows = sum(before[key] != after.get(key) for key in keys)
    return report


async def _rows(keys: list[int]) -> dict[int, Any]:
    async with db.unit():
        return {item.id: item.to_dict() for item in await Letter.aio.filter(id__in=keys)}


async def _tokens_of_the_victim(live: LiveServer) -> list[str]:
    tokens = []
    for order in ("", "subject desc", "pages"):
        found: Any = await live.app.call(
            "letters.list", {"order_by": order, "page_size": 2}, metadata=VICTIM
        )
        tokens.append(found.next_page_token)
    return tokens


def _judge(report: Report, protocol: str, status: str, answer: bytes, request: Any) -> None:
    report.answers[f"{protocol} {status}"] += 1
    if MARK.encode() in answer and MARK not in str(request):
        report.leaks.append(f"{protocol} {request!r:.300} -> {answer[:300]!r}")


async def _over_http(live: LiveServer, draw: Draw, count: int, report: Report) -> None:
    reader, writer = await asyncio.open_connection(live.host, live.port)
    for _ in range(count):
        request = http_request(draw)
        method, target, body = request
        head = (
            f"{method} {target} HTTP/1.1\r\nhost: {live.host}\r\n"
            f"authorization: {ATTACKER['authorization']}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode("ascii") + body)
        async with asyncio.timeout(_CALL_SECONDS):
            received = await reader.readuntil(b"\r\n\r\n")
            headers = received.decode("latin-1").lower()
            length = headers.partition("content-length:")[2].partition("\r\n")[0]
            answer = await reader.readexactly(int(length or 0))
        status = headers.split(" ", 2)[1]
        _judge(report, "REST", status, received + answer, request)
        if status.startswith("5"):
            report.unexpected.append(f"REST {request!r:.400} -> {answer[:200]!r}")
        if "connection: close" in headers:
            writer.close()
            reader, writer = await asyncio.open_connection(live.host, live.port)
    writer.close()


async def _over_rpc(
    live: LiveServer, channel: grpc.aio.Channel, draw: Draw, count: int, report: Report
) -> None:
    bound = live.app.services.bound
    if bound is None:
        raise LookupError("the attacked app has no gRPC service")
    names = {spec.name: spec.rpc_name for item in live.app.resources for spec in item.actions}
    methods = {method.name: method for method in bound.methods}
    for _ in range(count):
        operation, arguments = rpc_request(draw)
        method = methods[str(names[operation])]
        data = arguments if isinstance(arguments, bytes) else _encoded(method, arguments)
        call: Any = channel.unary_unary(method.path)
        try:
            answer = await call(data, metadata=tuple(ATTACKER.items()), timeout=_CALL_SECONDS)
            status = "OK"
        except grpc.aio.AioRpcError as error:
            status = error.code().name
            answer = repr((error.details(), error.trailing_metadata())).encode()
            if error.code() in _UNEXPECTED:
                report.unexpected.append(f"gRPC {operation} {data!r:.400} -> {error.details()}")
        _judge(report, "gRPC", status, bytes(answer), arguments)


def _encoded(method: Any, arguments: dict[str, Any]) -> bytes:
    """Return the message of arguments, without what has no form in it."""
    kept = dict(arguments)
    while True:
        try:
            return bytes(method.encode_request(kept).SerializeToString())
        except ValueError as error:
            name = str(error).partition(".")[0].partition("[")[0].partition(":")[0]
            if kept.pop(name, None) is None:
                logging.getLogger(__name__).debug("%s does not fit: %s", json.dumps(kept), error)
                return b""
