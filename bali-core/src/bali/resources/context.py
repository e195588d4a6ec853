"""What is known about one call besides its arguments."""

from __future__ import annotations

import datetime
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias

from bali.propagation import current, new_request_id, new_traceparent, trace_id_of
from bali.resources.spec import ActionSpec

__all__ = [
    "Authenticator",
    "Call",
    "Context",
    "LongRunning",
    "PeerCertificate",
    "Principal",
    "ProtocolName",
    "current_context",
    "new_request_id",
]

#: All of it, in percent.
_WHOLE_PERCENT = 100
ProtocolName: TypeAlias = Literal["local", "rest", "grpc", "connect", "grpc-web"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling: a stable `id`, what they were granted, and what else their proof says."""

    id: str
    scopes: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCertificate:
    """Whom the client's TLS certificate names; an authority that the server trusts has signed it.

    `subject`: its distinguished name (`"commonName=billing,organizationName=Example"`, special
    characters with a backslash before). `names`: its subject alternative names with their kinds,
    such as `"DNS:billing.internal"` and `"URI:spiffe://example/billing"`.
    """

    subject: str = ""
    names: tuple[str, ...] = ()


class LongRunning(Protocol):
    """The operation that an action performs."""

    @property
    def name(self) -> str:
        """Identifies it, as in "operations/3f..."."""
        ...

    @property
    def attempt(self) -> int:
        """How often it was begun, this time included."""
        ...

    def report(self, percent: int, text: str) -> None:
        """Take note of the progress. Raises `Cancelled` when the operation is to end."""


@dataclass(slots=True, kw_only=True, eq=False)
class Context:
    """The circumstances of one call; an action sees it as `self.context`.

    `metadata`: HTTP headers or gRPC metadata, keys in lower case; values that are binary on the
    wire (`*-bin`) are bytes. `deadline_monotonic`: when the caller stops waiting, on the clock of
    `time.monotonic()`, None for never. `peer`: the client's address as `host:port`, "" when
    unknown. `peer_certificate`: whom the client's certificate names, None without one.
    `read_mask`: the paths of the fields that the caller wants to see, none for all (AIP-157).
    `response_metadata`: headers (gRPC: initial metadata) to send with the answer. `long_running`:
    the operation that the action performs, None for a call that is answered directly.

    What a caller of a standard action may ask for besides: `validate_only`, that nothing be kept of
    what it does (AIP-163); `show_deleted`, that soft-deleted items count (AIP-164);
    `expected_etag`, that the item still have this etag (AIP-154), "" for any; `repeat_key`, that
    the action be done once, however often it is asked for (AIP-155), "" for not. `etag` is that of
    the item in the answer, "" when there is none. `parents` are the keys of the items above, of a
    nested resource, by field: `{"user_id": 7}`. `expand` names what the answer has of others.
    """

    operation: str = ""
    protocol: ProtocolName = "local"
    metadata: Mapping[str, str | bytes] = field(default_factory=dict)
    principal: Principal | None = None
    deadline_monotonic: float | None = None
    request_id: str = ""
    peer: str = ""
    peer_certificate: PeerCertificate | None = None
    response_metadata: dict[str, str] = field(default_factory=dict)
    long_running: LongRunning | None = None
    validate_only: bool = False
    show_deleted: bool = False
    expected_etag: str = ""
    repeat_key: str = ""
    etag: str = ""
    read_mask: tuple[str, ...] = ()
    expand: tuple[str, ...] = ()
    parents: Mapping[str, Any] = field(default_factory=dict)
    _traceparent: str = ""

    def __post_init__(self) -> None:
        if not self.request_id:
            self.request_id = new_request_id()

    @classmethod
    def with_timeout(cls, seconds: float | None, **values: Any) -> Context:
        """Return a context whose caller waits for `seconds` from now, None for ever."""
        deadline = None if seconds is None else time.monotonic() + seconds
        return cls(deadline_monotonic=deadline, **values)

    @property
    def attempt(self) -> int:
        """How often this work was begun: above 1 when a worker was lost that had begun it."""
        return 1 if self.long_running is None else self.long_running.attempt

    @property
    def operation_name(self) -> str:
        """The long-running operation, the same in each attempt; "" for a direct call."""
        return "" if self.long_running is None else self.long_running.name

    def report_progress(self, percent: float, text: str = "") -> None:
        """Tell those who look at the operation how far it is: from 0 to 100, and in words.

        It never waits, so it may be called often, and from code that blocks. In a direct call it
        does nothing. Raises `ValueError` for a percentage out of range, and `Cancelled` when the
        operation is to end: then code that blocks unwinds here.
        """
        if not 0 <= percent <= _WHOLE_PERCENT:
            raise ValueError(f"progress is between 0 and 100 percent, found {percent!r}")
        if self.long_running is not None:
            self.long_running.report(int(percent), text)

    @property
    def traceparent(self) -> str:
        """The place of this call in a trace, the caller's or a new one (W3C Trace Context)."""
        if not self._traceparent:
            self._traceparent = new_traceparent(self.metadata.get("traceparent"))
        return self._traceparent

    @property
    def trace_id(self) -> str:
        """What all calls that were made for one request share: 32 hexadecimal digits."""
        return trace_id_of(self.traceparent)

    @property
    def deadline(self) -> datetime.datetime | None:
        """When the caller stops waiting, as an aware time in UTC; None for never.

        The last moment of the year 9999 for a caller who would wait longer than that.
        """
        remaining = self.time_remaining_seconds
        if remaining is None:
            return None
        try:
            return datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=remaining)
        except OverflowError:
            return datetime.datetime.max.replace(tzinfo=datetime.UTC)

    @property
    def time_remaining_seconds(self) -> float | None:
        """How long the caller still waits, at least 0; None without a deadline."""
        if self.deadline_monotonic is None:
            return None
        return max(0.0, self.deadline_monotonic - time.monotonic())


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One call of one action: what an adapter hands to the pipeline.

    `arguments` are the fields of the request, by wire name, as the protocol gave them: parsed JSON
    and query strings from REST, Python values from protobuf. A field that was not sent is absent.
    """

    spec: ActionSpec
    arguments: Mapping[str, Any]
    context: Context


class Authenticator(Protocol):
    """Finds out who is calling."""

    async def authenticate(self, context: Context) -> Principal | None:
        """Return the caller; None when the call carries no credentials.

        Raises `Unauthenticated` when it carries credentials that are not accepted.
        """


def current_context() -> Context | None:
    """Return the context of the call that this task or worker thread serves, None outside one."""
    context = current.get()
    return context if isinstance(context, Context) else None
