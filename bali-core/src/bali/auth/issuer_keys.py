"""The keys of an issuer, kept as fresh as its tokens need: rotation without a restart."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

from bali.auth.key_download import DownloadError, check_address, download
from bali.auth.signing_keys import SigningKey, SigningKeys, read_jwks
from bali.errors import ConfigurationError, Unavailable

__all__ = ["IssuerKeys", "KeyTimes"]

_log = logging.getLogger("bali.auth")

#: How soon to try again while there is not one key.
_FIRST_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyTimes:
    """When keys are fetched, in seconds.

    `refresh`: the age at which keys are fetched anew, so a key that the issuer has withdrawn is
    refused after that. `stale`: how old keys may get while the issuer cannot be reached.
    `retry`: the shortest time between two attempts, however many tokens name unknown keys.
    `timeout`: the longest time that one attempt may take.
    """

    refresh: float = 300.0
    stale: float = 3600.0
    retry: float = 10.0
    timeout: float = 5.0

    def __post_init__(self) -> None:
        """Refuse times that cannot work together."""
        if not self.timeout > 0 or not 0 <= self.retry <= self.refresh <= self.stale:
            raise ConfigurationError(
                f"{self}: the times must be positive, and retry <= refresh <= stale"
            )


class IssuerKeys:
    """Keys from a JWKS address; for calls of any number of event loops and threads at once.

    One fetch runs at a time, in a thread of its own; calls wait for it only when they cannot go on
    without.
    """

    def __init__(self, url: str, *, times: KeyTimes, max_bytes: int) -> None:
        check_address(url)
        self._url = url
        self._times = times
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._keys: SigningKeys | None = None
        self._fetched_at = 0.0
        self._tried_at = float("-inf")
        self._is_reachable = True
        self._flight: Future[None] | None = None

    async def candidates(self, kid: str | None, algorithm: str) -> Sequence[SigningKey]:
        """Return the few keys that may have signed a token with this header.

        Raises `Unavailable` when there are no keys that are fresh enough.
        """
        keys = await self._current()
        found = keys.candidates(kid, algorithm)
        if found or kid is None or not self._may_fetch(self._times.retry):
            return found
        await self._wait(self._fetch())
        return (self._usable() or keys).candidates(kid, algorithm)

    async def _current(self) -> SigningKeys:
        times = self._times
        keys = self._usable()
        age = time.monotonic() - self._fetched_at
        if keys is None:
            if self._may_fetch(_FIRST_RETRY_SECONDS):
                await self._wait(self._fetch())
            keys = self._usable()
        elif age > times.refresh and self._is_reachable:
            await self._wait(self._fetch())
            keys = self._usable()
        elif age > times.refresh / 2 and self._may_fetch(times.retry):
            self._fetch()
        if keys is None:
            raise Unavailable(
                "The keys of the tokens' issuer cannot be had now",
                reason="ISSUER_UNAVAILABLE",
                retry_after_seconds=_FIRST_RETRY_SECONDS,
            )
        return keys

    def _usable(self) -> SigningKeys | None:
        is_old = time.monotonic() - self._fetched_at > self._times.stale
        return None if is_old else self._keys

    def _may_fetch(self, interval: float) -> bool:
        return self._flight is not None or time.monotonic() - self._tried_at >= interval

    async def _wait(self, flight: Future[None]) -> None:
        # The fetch serves many: a caller who leaves, or is late, must not end it.
        waiting = asyncio.wrap_future(flight)
        await asyncio.wait({waiting}, timeout=self._times.timeout)

    def _fetch(self) -> Future[None]:
        """Return the fetch that runs, or start one."""
        with self._lock:
            now = time.monotonic()
            is_lost = now - self._tried_at > 2 * self._times.timeout
            if self._flight is not None and not is_lost:
                return self._flight
            if self._flight is not None:
                self._is_reachable = False
            flight: Future[None] = Future()
            self._flight, self._tried_at = flight, now
        context = contextvars.Context()
        threading.Thread(
            target=context.run, args=(self._run, flight), name="bali-jwks", daemon=True
        ).start()
        return flight

    def _run(self, flight: Future[None]) -> None:
        # From before the request on: a key withdrawn while it runs has been withdrawn since then.
        began = time.monotonic()
        found: SigningKeys | None = None
        try:
            document = download(
                self._url, timeout_seconds=self._times.timeout, max_bytes=self._max_bytes
            )
            found = read_jwks(document)
        except (DownloadError, ValueError) as error:
            _log.warning("the keys at %s cannot be used: %s", self._url, error)
        except Exception:  # noqa: BLE001 - whatever it is, the calls that wait have to go on
            _log.exception("the keys at %s cannot be used", self._url)
        with self._lock:
            if self._flight is flight:
                self._flight = None
                self._is_reachable = found is not None
                if found is not None:
                    self._keys, self._fetched_at = found, began
        flight.set_result(None)
