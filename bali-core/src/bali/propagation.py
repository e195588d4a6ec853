"""What a call hands on to the calls that are made while it is answered.

The pipeline says here which call a task or worker thread serves; clients read it, and send on the
trace (W3C Trace Context), the request id and what is left of the time.
"""

from __future__ import annotations

import contextvars
import os
import random
import re
import secrets
from collections.abc import Mapping
from typing import Protocol

__all__ = [
    "Circumstances", "child_span", "current", "new_request_id", "new_traceparent", "trace_id_of",
]  # fmt: skip

#: version-traceid-parentid-flags (https://www.w3.org/TR/trace-context/#traceparent-header).
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16

#: Identifiers are to be unique, not secret; asking the system for each costs more than the rest.
_random = random.Random()  # noqa: S311 - see above
if hasattr(os, "register_at_fork"):  # pragma: no branch - absent on Windows alone
    os.register_at_fork(after_in_child=_random.seed)  # a child would go on as its parent does


class Circumstances(Protocol):
    """What is known about the call that is being answered."""

    @property
    def metadata(self) -> Mapping[str, str | bytes]:
        """Headers or gRPC metadata that came with it, keys in lower case."""

    @property
    def request_id(self) -> str:
        """Its identifier."""

    @property
    def traceparent(self) -> str:
        """Its place in the trace that it belongs to."""

    @property
    def time_remaining_seconds(self) -> float | None:
        """How long its caller still waits, at least 0; None without a deadline."""


#: The call that this task or worker thread serves, None outside one.
current: contextvars.ContextVar[Circumstances | None] = contextvars.ContextVar(
    "bali_current_call", default=None
)


def new_request_id() -> str:
    """Return a fresh identifier of a call: 32 hexadecimal digits."""
    return f"{_random.getrandbits(128):032x}"


def new_traceparent(received: str | bytes | None) -> str:
    """Return the place of a call in its trace: in that of its caller, else in a trace of its own.

    `received` is the `traceparent` that came with the call; one that is not valid counts as none,
    as the standard says.
    """
    match = _TRACEPARENT.fullmatch(received) if isinstance(received, str) else None
    if match is None or match[1] == "ff" or match[2] == _NO_TRACE or match[3] == _NO_SPAN:
        return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"
    return f"00-{match[2]}-{secrets.token_hex(8)}-{match[4]}"


def child_span(traceparent: str) -> str:
    """Return the place of a call that is made by the one at `traceparent`."""
    version, trace, _, flags = traceparent.split("-")
    return f"{version}-{trace}-{secrets.token_hex(8)}-{flags}"


def trace_id_of(traceparent: str) -> str:
    """Return the identifier that all calls of a trace share: 32 hexadecimal digits."""
    return traceparent.split("-")[1]
