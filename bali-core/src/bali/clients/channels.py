"""One channel for each address in a process, shared by all clients of it."""

from __future__ import annotations

import asyncio
import atexit
import json
import os
import threading
import weakref
from collections.abc import Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from bali.clients.options import ClientOptions, Tls
from bali.errors import ConfigurationError

__all__ = ["Lease", "close_async_channels", "close_channels", "lease_async", "lease_sync"]

#: Every pod that DNS names gets its share, and a connection that ends asks DNS anew.
_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})
_OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.dns_min_time_between_resolutions_ms", 1000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5000),
    ("grpc.primary_user_agent", "bali"),
    # Retries are ours: they know which methods are idempotent and what the server asked for.
    ("grpc.enable_retries", 0),
)


@dataclass(eq=False)
class _Entry:
    """A channel, those who use it, and the calls that were made on it."""

    channel: Any
    users: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)
    calls: dict[Hashable, Any] = field(default_factory=dict)


_lock = threading.Lock()
_sync: dict[Hashable, _Entry] = {}
_async: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[Hashable, _Entry]] = (
    weakref.WeakKeyDictionary()
)


#: Those that made async calls: of this process alone, or its parent's too after a fork.
_aio_processes: set[int] = set()


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one client to use a shared channel."""

    entry: _Entry
    key: Hashable

    @property
    def channel(self) -> Any:
        """The channel, of `grpc` or `grpc.aio`."""
        return self.entry.channel

    @property
    def calls(self) -> dict[Hashable, Any]:
        """What makes calls on this channel, by method; made once."""
        return self.entry.calls


def lease_sync(options: ClientOptions, user: object) -> Lease:
    """Return the channel of this process to an address; `user` keeps it open."""
    key = _key(options)
    with _lock:
        entry = _sync.get(key)
        if entry is None:
            entry = _sync[key] = _Entry(_open(grpc, options))
        entry.users.add(user)
    return Lease(entry, key)


def lease_async(options: ClientOptions, user: object) -> Lease:
    """Return the channel of the running event loop to an address.

    Raises `ConfigurationError` in a process that was forked after its parent had made async calls:
    gRPC's threads do not live on in it, and a call would wait for ever.
    """
    _aio_processes.add(os.getpid())
    if len(_aio_processes) > 1:
        raise ConfigurationError(
            "this process was forked from one that had made async calls, which gRPC does not "
            'outlive; start it with multiprocessing.get_context("spawn"), or call synchronously'
        )
    loop = asyncio.get_running_loop()
    key = _key(options)
    with _lock:
        of_loop = _async.setdefault(loop, {})
        entry = of_loop.get(key)
        if entry is None:
            entry = of_loop[key] = _Entry(_open(grpc.aio, options))
        entry.users.add(user)
    return Lease(entry, key)


def release_sync(lease: Lease, user: object) -> None:
    """Give a channel back; the last user closes it."""
    with _lock:
        lease.entry.users.discard(user)
        is_last = not lease.entry.users and _sync.get(lease.key) is lease.entry
        if is_last:
            del _sync[lease.key]
    if is_last:
        lease.channel.close()


async def release_async(lease: Lease, user: object) -> None:
    """Give a channel of the running event loop back; the last user closes it."""
    with _lock:
        of_loop = _async.get(asyncio.get_running_loop(), {})
        lease.entry.users.discard(user)
        is_last = not lease.entry.users and of_loop.get(lease.key) is lease.entry
        if is_last:
            del of_loop[lease.key]
    if is_last:
        await lease.channel.close()


def close_channels() -> None:
    """Close every channel of sync clients; clients that are used again open new ones."""
    with _lock:
        entries = list(_sync.values())
        _sync.clear()
    for entry in entries:
        entry.channel.close()


async def close_async_channels() -> None:
    """Close every channel of the running event loop; an app does it when it stops."""
    with _lock:
        entries = list(_async.pop(asyncio.get_running_loop(), {}).values())
    for entry in entries:
        await entry.channel.close()


atexit.register(close_channels)


def is_open(lease: Lease, *, loop: asyncio.AbstractEventLoop | None = None) -> bool:
    """Tell whether a lease is still good: not closed, not of another process or event loop."""
    table = _sync if loop is None else _async.get(loop, {})
    return table.get(lease.key) is lease.entry and lease.key[-1] == os.getpid()  # type: ignore[index]  # it is a tuple


def _key(options: ClientOptions) -> Hashable:
    return (
        options.address,
        options.tls,
        options.max_message_bytes,
        tuple(options.channel_options),
        os.getpid(),
    )


def _open(module: Any, options: ClientOptions) -> Any:
    arguments = [
        *_OPTIONS,
        ("grpc.max_receive_message_length", options.max_message_bytes),
        ("grpc.max_send_message_length", options.max_message_bytes),
        *options.channel_options,
    ]
    tls = options.tls
    if tls is None:
        return module.insecure_channel(options.address, options=arguments)
    if tls.server_name:
        arguments.append(("grpc.ssl_target_name_override", tls.server_name))
    return module.secure_channel(options.address, _credentials(tls), options=arguments)


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    if bool(tls.cert_file) != bool(tls.key_file):
        raise ConfigurationError("a client certificate needs both, cert_file and key_file")
    return grpc.ssl_channel_credentials(
        root_certificates=_read(tls.ca_file),
        private_key=_read(tls.key_file),
        certificate_chain=_read(tls.cert_file),
    )


def _read(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"cannot read the PEM file {path}: {error.strerror}") from error
