"""One line of log for each call: `bali.access`, at INFO, with what machines look for as fields."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager
from types import TracebackType

from bali.errors import BaliError, Code
from bali.resources.context import Call

__all__ = ["AccessLine", "access_log"]

#: Whoever is in a hurry asks first whether it is enabled for INFO.
access_log = logging.getLogger("bali.access")


class AccessLine(AbstractContextManager[None]):
    """Logs a call when the block ends, where INFO is wanted.

    The record has `operation`, `protocol`, `code` (gRPC's name), `duration_ms`, `request_id`,
    `trace_id` and `peer`.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._begun = 0.0

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not access_log.isEnabledFor(logging.INFO):
            return
        context, operation = self._call.context, self._call.spec.operation
        milliseconds = round((time.perf_counter() - self._begun) * 1000, 2)
        code = Code.OK
        if error is not None:
            # What is no error of ours is a caller who left: the pipeline turns all else into one.
            code = error.code if isinstance(error, BaliError) else Code.CANCELLED
        access_log.info(
            "%s over %s: %s in %s ms",
            operation,
            context.protocol,
            code.name,
            milliseconds,
            extra={
                "operation": operation,
                "protocol": context.protocol,
                "code": code.name,
                "duration_ms": milliseconds,
                "request_id": context.request_id,
                "trace_id": context.trace_id,
                "peer": context.peer,
            },
        )
