"""Logs for machines: one JSON object a line, on stderr, with the id of the request it is about."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from bali import current_context

from core.environment import INSTANCE, SERVICE, VERSION

#: What every record has; anything else was given as `extra=`.
_USUAL = {*vars(logging.makeLogRecord({})), "asctime", "message", "taskName"}


class JsonFormatter(logging.Formatter):
    """Writes a record as JSON, with `extra=` as fields of their own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line for a record; a value that JSON does not know is written as text."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "service": SERVICE,
            "version": VERSION,
            "instance": INSTANCE,
        }
        context = current_context()
        if context is not None:
            line["request_id"] = context.request_id
            line["trace_id"] = context.trace_id
            line["operation"] = context.operation
        line |= {name: value for name, value in vars(record).items() if name not in _USUAL}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure_logging(level: str) -> None:
    """Send everything from `level` on to stderr as JSON, unless logging is configured already."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler])
