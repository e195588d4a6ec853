"""Where the services are, and how they are called. Yours: nothing overwrites it.

The environment comes first: `USER_GRPC_ADDRESS`, `USER_GRPC_TIMEOUT`, `USER_GRPC_TLS` for a
service "user". A service that is named nowhere is looked for at `user:9080`.
"""

from __future__ import annotations

from typing import Any

#: Addresses by service, as in {"user": "localhost:9080"}.
GRPC_ADDRESSES: dict[str, str] = {}

#: Seconds that a call may take; a stream has no limit of its own.
GRPC_TIMEOUT: float | None = 10.0

#: How often a call that may be repeated is tried in all.
GRPC_ATTEMPTS = 3

#: Sent with every call.
GRPC_METADATA: dict[str, str] = {}

#: Names of incoming metadata that is sent on, as in ("authorization",).
GRPC_FORWARD: tuple[str, ...] = ()

#: Where answers of calls with `cache_timeout` are kept: an object with get, set and delete.
GRPC_CACHE: Any = None
