"""What is decided for each call: its time, its metadata, whether it is tried again, its errors."""

from __future__ import annotations

import hashlib
import logging
import random
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message

from bali.clients.metadata import metadata_of
from bali.clients.method import CallOptions, Method, check_call
from bali.clients.options import ClientOptions, check_seconds
from bali.errors import BaliError, Code, DeadlineExceeded
from bali.propagation import current
from bali.proto.status import DETAILS_KEY, error_from_status

__all__ = ["Outgoing"]

log = logging.getLogger("bali.clients")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0
#: gRPC takes a number that overflows its clock for a time that is past.
_LONGEST_SECONDS = 10 * 365 * 86_400.0
#: What a peer did not raise on purpose, or the network said: its text stays here.
_FIXED = frozenset({Code.UNAVAILABLE, Code.INTERNAL, Code.UNKNOWN, Code.DEADLINE_EXCEEDED})
_TEXTS: Mapping[Code, str] = {
    Code.UNAVAILABLE: "cannot be reached or is not able to answer",
    Code.DEADLINE_EXCEEDED: "did not answer in time",
}


@dataclass(slots=True)
class Outgoing:
    """One call on its way, with all its attempts."""

    method: Method
    options: ClientOptions
    call: CallOptions
    deadline_monotonic: float | None
    metadata: tuple[tuple[str, str | bytes], ...]
    is_repeatable: bool = False
    attempt: int = 1

    @classmethod
    def new(
        cls, method: Method, options: ClientOptions, call: CallOptions, message: Any = None
    ) -> Outgoing:
        """Return a call that is about to be made, with `message` if it is a single one.

        It may be tried again when its method is idempotent, or when its message has a `request_id`:
        the service does what is sent again with the same id once (AIP-155).

        Raises `DeadlineExceeded` when the caller that it is made for waits no longer, `TypeError`
        for an option that no call has or of the wrong type, and `ValueError` for metadata that gRPC
        cannot carry.
        """
        check_call(method, call)
        is_stream = method.is_client_streaming or method.is_server_streaming
        seconds = None if is_stream else options.timeout_seconds
        if "timeout" in call:
            seconds = check_seconds("timeout", call["timeout"])
        around = current.get()
        left = around.time_remaining_seconds if around is not None else None
        if left is not None:
            seconds = left if seconds is None else min(seconds, left)
        if seconds is not None and seconds <= 0:
            raise DeadlineExceeded(f"the time was up before {method.path} was called")
        deadline = None
        if seconds is not None:
            deadline = time.monotonic() + min(seconds, _LONGEST_SECONDS)
        is_repeatable = method.is_idempotent or bool(getattr(message, "request_id", ""))
        return cls(method, options, call, deadline, metadata_of(options, call), is_repeatable)

    @property
    def timeout_seconds(self) -> float | None:
        """What is left for this attempt."""
        if self.deadline_monotonic is None:
            return None
        return max(0.0, self.deadline_monotonic - time.monotonic())

    @property
    def is_silent(self) -> bool:
        """Whether errors become empty answers."""
        return bool(self.call.get("fail_silently", self.options.fail_silently))

    def pause_before_next(self, error: BaliError) -> float | None:
        """Return how many seconds to wait before trying again, None to give up.

        A pause that the server asked for is kept; else they double, each of random length so that
        many clients do not come back at once.
        """
        is_transient = error.code is Code.UNAVAILABLE or (
            error.code is Code.RESOURCE_EXHAUSTED and error.retry_after_seconds is not None
        )
        if not (is_transient and self.is_repeatable):
            return None
        if self.attempt >= self.options.attempts:
            return None
        longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2 ** (self.attempt - 1))
        pause = random.uniform(longest / 2, longest)  # noqa: S311 - spreads load, hides nothing
        if error.retry_after_seconds is not None:
            pause = max(pause, error.retry_after_seconds)
        left = self.timeout_seconds
        if left is not None and pause >= left:
            return None
        self.attempt += 1
        log.info("%s: %s; attempt %d in %.2f s", self.method.path, error, self.attempt, pause)
        return pause

    def silenced(self, error: BaliError, failure: BaseException) -> Any:
        """Return the empty answer that stands for an error; raise it unless that is wanted."""
        if not self.is_silent:
            raise error from failure
        log.warning("%s failed silently: %s %s", self.method.path, error.code.name, error)
        return self.method.empty_answer()

    # -- the cache -----------------------------------------------------------------------------

    @property
    def cache_seconds(self) -> float:
        """How long to use an answer, 0 for not at all."""
        return self.call.get("cache_timeout", 0) or 0

    def cache_key(self, message: Message) -> str:
        """Return the key of an answer: of the method, the request, and whoever it is sent for."""
        digest = hashlib.sha256(self.method.path.encode())
        digest.update(self.options.address.encode())
        digest.update(message.SerializeToString(deterministic=True))
        for key, value in self.metadata:
            if key not in _OF_ONE_CALL:
                digest.update(f"\0{key}\0{value!r}".encode())
        return f"bali:{self.method.path}:{digest.hexdigest()}"

    def cached(self, stored: Any) -> Any:
        """Return the answer in what a cache gave, None when there is none or it is not ours."""
        if not isinstance(stored, bytes):
            return None
        try:
            return self.method.decode(self.method.response_type.FromString(stored))
        except DecodeError:
            return None


_OF_ONE_CALL = frozenset({"traceparent", "tracestate", "x-request-id"})


@contextmanager
def without_cache_errors(method: Method) -> Iterator[None]:
    """Treat a cache that fails as one that has nothing: it is there to help, not to be needed."""
    try:
        yield
    except Exception:
        log.warning("the cache of %s failed; it is done without", method.path, exc_info=True)


def error_of(method: Method, error: Any) -> BaliError:
    """Return the error that gRPC tells of, of the same class as on the server.

    `error` is an `RpcError` of a sync call or of grpc.aio. The text of what was not raised on
    purpose (a connection refused at an inner address) is not handed on; it is in the cause.
    """
    code: grpc.StatusCode = error.code()
    trailers = dict(error.trailing_metadata() or ())
    details = trailers.get(DETAILS_KEY)
    found = error_from_status(code.value[0], error.details() or "", details)
    if details is None and found.code in _FIXED:
        log.warning("%s: %s: %s", method.path, found.code.name, error.details())
        text = _TEXTS.get(found.code, "failed")
        kind = type(found)
        found = kind(f"{method.path.split('/')[1]} {text}")
    return found
