"""How a client reaches its service: from its arguments, the environment and `_config.py`."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from bali.errors import ConfigurationError

__all__ = ["Cache", "ClientOptions", "Tls"]

DEFAULT_TIMEOUT_SECONDS = 10.0
DEFAULT_PORT = 9080
_SECURE = ("https://", "grpcs://")
_PLAIN = ("http://", "grpc://")
#: What gRPC finds by other means than a host and a port (grpc/doc/naming.md).
_TARGETS = ("dns:", "unix:", "unix-abstract:", "vsock:", "ipv4:", "ipv6:", "xds:", "passthrough:")
_HOST_AND_PORT = re.compile(r"(?:\[[^\[\]\s/]+\]|[^\s:/@\[\]]+):([0-9]{1,5})")
_HIGHEST_PORT = 65_535


class Cache(Protocol):
    """Where answers are kept: `GRPC_CACHE` of the first bali, Django's caches and many others."""

    def get(self, key: str) -> Any:
        """Return what was stored under a key, None when there is nothing (any more)."""

    def set(self, key: str, value: Any, timeout: float) -> Any:
        """Store a value for `timeout` seconds."""

    def delete(self, key: str) -> Any:
        """Forget a key, if it is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """How to be sure of the service, and the service of us: paths of PEM files.

    `ca_file`: the authorities to trust (default: the system's). `cert_file` and `key_file`: our own
    proof (mTLS). `server_name`: the name in the service's certificate when it is not that in the
    address.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """Where a service is, and how its methods are called unless a call says otherwise.

    `address`: `host:port` or what gRPC takes (`dns:///users:9080`, `unix:/run/users.sock`).
    `timeout_seconds`: of a call that is not a stream; None for as long as our own caller waits.
    `attempts`: how often an idempotent call is tried in all. `metadata`: sent with every call.
    `forward`: names of incoming metadata to send on (`"authorization"`). `fail_silently`: errors
    become empty answers. `cache`: for calls with `cache_timeout`. `max_message_bytes`: of answers.
    """

    address: str
    timeout_seconds: float | None = DEFAULT_TIMEOUT_SECONDS
    attempts: int = 3
    metadata: Mapping[str, str | bytes] = field(default_factory=dict)
    forward: Sequence[str] = ()
    tls: Tls | None = None
    fail_silently: bool = False
    cache: Cache | None = None
    max_message_bytes: int = 64 * 1024 * 1024
    channel_options: Sequence[tuple[str, Any]] = ()

    @classmethod
    def from_config(cls, service: str, config: Any = None) -> ClientOptions:
        """Return the options of a service, `"user"`, from a module like `clients/_config.py`.

        The environment comes first (`USER_GRPC_ADDRESS`, `USER_GRPC_TIMEOUT` in seconds,
        `USER_GRPC_TLS=1` or the path of a file of authorities), then `GRPC_ADDRESSES` and its kin,
        then the names of the first bali (`GRPC_ADDRESS`, `GRPC_ADDRESS_EXTENDS`), and last the
        service's name as host, as it is in Kubernetes. Raises `ConfigurationError` for a value that
        cannot be.
        """
        prefix = service.upper().replace("-", "_").replace(".", "_")
        address = os.environ.get(f"{prefix}_GRPC_ADDRESS") or _configured_address(service, config)
        timeout = os.environ.get(f"{prefix}_GRPC_TIMEOUT") or os.environ.get("GRPC_TIMEOUT")
        tls = os.environ.get(f"{prefix}_GRPC_TLS")
        options = cls(
            address=address,
            timeout_seconds=_seconds(f"{prefix}_GRPC_TIMEOUT", timeout)
            if timeout
            else getattr(config, "GRPC_TIMEOUT", DEFAULT_TIMEOUT_SECONDS),
            attempts=getattr(config, "GRPC_ATTEMPTS", 3),
            metadata=getattr(config, "GRPC_METADATA", None) or {},
            forward=tuple(getattr(config, "GRPC_FORWARD", ())),
            tls=_tls(tls) if tls else getattr(config, "GRPC_TLS", None),
            cache=getattr(config, "GRPC_CACHE", None),
            channel_options=tuple(getattr(config, "GRPC_CHANNEL_OPTIONS", None) or ()),
        )
        return options.normalized()

    def normalized(self) -> ClientOptions:
        """Return the same with an address that gRPC takes; `https://` in it means TLS.

        Raises `ConfigurationError` for values that cannot be.
        """
        address: Any = self.address
        tls = self.tls
        if not isinstance(address, str):
            raise ConfigurationError(
                f"the address of a client is {address!r}; write it like 'users:9080'"
            )
        address = address.strip()
        for scheme in (*_SECURE, *_PLAIN):
            if address.startswith(scheme):
                address = address.removeprefix(scheme).rstrip("/")
                tls = tls or (Tls() if scheme in _SECURE else None)
        self._check_rest()
        return replace(self, address=_with_port(address), tls=tls)

    def _check_rest(self) -> None:
        try:
            seconds = check_seconds("timeout", self.timeout_seconds)
        except TypeError as error:
            raise ConfigurationError(str(error)) from error
        if seconds is not None and seconds <= 0:
            raise ConfigurationError(f"timeout is {seconds}; no call would ever be made")
        attempts: Any = self.attempts
        if not isinstance(attempts, int) or attempts < 1:
            raise ConfigurationError(f"attempts is {attempts!r}; give a number from 1")
        missing = [name for name in ("get", "set", "delete") if not hasattr(self.cache, name)]
        if self.cache is not None and missing:
            raise ConfigurationError(
                f"the cache is {type(self.cache).__name__}, which has no {' and no '.join(missing)}"
            )


def check_seconds(name: str, value: Any) -> float | None:
    """Return a number of seconds, None for no limit; raise `TypeError` for anything else."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or math.isnan(value):
        raise TypeError(f"{name} is {value!r}; give seconds as a number, or None for no limit")
    return value


def _with_port(address: str) -> str:
    """Return a target of gRPC; raise `ConfigurationError` for what is none."""
    if not address:
        raise ConfigurationError("the address of a client is empty; write it like users:9080")
    if address.startswith(_TARGETS):
        return address
    if ":" not in address or address.endswith("]"):
        address = f"{address}:{DEFAULT_PORT}"
    found = _HOST_AND_PORT.fullmatch(address)
    if found is None or not 0 < int(found[1]) <= _HIGHEST_PORT:
        raise ConfigurationError(
            f"{address!r} is not the address of a service; write host and port, like users:9080 or "
            "[::1]:9080"
        )
    return address


def _configured_address(service: str, config: Any) -> str:
    found = (getattr(config, "GRPC_ADDRESSES", None) or {}).get(service)
    if found is None:
        extends = getattr(config, "GRPC_ADDRESS_EXTENDS", None) or {}
        found = extends.get(service, getattr(config, "GRPC_ADDRESS", None))
    if isinstance(found, Mapping):
        found = f"{found['host']}:{found['port']}"
    if found is not None and not isinstance(found, str):
        raise ConfigurationError(
            f"the address of {service!r} in _config.py is {found!r}; write it like 'users:9080'"
        )
    return found or f"{service.replace('_', '-')}:{DEFAULT_PORT}"


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ConfigurationError(f"{name}={text!r} is no number of seconds above 0")
    return seconds


def _tls(text: str) -> Tls | None:
    if text.lower() in {"0", "false", "no"}:
        return None
    return Tls() if text.lower() in {"1", "true", "yes"} else Tls(ca_file=text)


#: Makes the options of a service; `_utils.py` has one that knows `_config.py`.
OptionsSource = Callable[[str], ClientOptions]
