"""Log lines as JSON, one a line, with the id of the request that they belong to."""

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime

# Set by the first of our extensions that a request meets. Tornado runs each request in a task of its own, so that
# Thumbor's own warnings of the same request carry it too.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# What a record may hold beyond its message: see README.md.
_EXTRA = ("picture", "options", "format", "ms")


class JsonLines(logging.Formatter):
    """Formats every record, whoever made it, as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; absent fields are left out."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "room": "thumbor",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            **{name: getattr(record, name, None) for name in _EXTRA},
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }
        return json.dumps({name: value for name, value in fields.items() if value is not None})
