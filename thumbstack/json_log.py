"""Log lines as JSON, one a line, with the id of the request that they belong to."""

import json
import logging
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

# Set where a request comes in. Tornado runs each in a task of its own and gunicorn in a thread, so that whatever is
# logged meanwhile carries it, whoever logs it.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

# What a record may hold beyond its message: see thumbor/README.md.
_EXTRA = ("picture", "options", "format", "ms")
_MAX_PATH = 1000


class JsonLines(logging.Formatter):
    """Formats every record, whoever made it, as one line of JSON."""

    def __init__(self, room: str) -> None:
        super().__init__()
        self._room = room

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON; absent fields are left out."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "room": self._room,
            **self._told(record),
        }
        return json.dumps({name: value for name, value in fields.items() if value is not None})

    def _told(self, record: logging.LogRecord) -> dict[str, Any]:
        if record.name == "gunicorn.access" and isinstance(record.args, Mapping):
            return _access(record.args)
        return {
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get(),
            **{name: getattr(record, name, None) for name in _EXTRA},
            "exception": self.formatException(record.exc_info) if record.exc_info else None,
        }


def _access(told: Mapping[str, Any]) -> dict[str, Any]:
    """An answered request; the path without its query, which may hold a key."""
    return {
        "request_id": told["{x-request-id}i"],
        "method": told["m"],
        # gunicorn escapes quotes for formats that do not.
        "path": str(told["U"]).replace('\\"', '"')[:_MAX_PATH],
        "status": int(told["s"]),
        "bytes": told["B"],
        "microseconds": told["D"],
    }


def configuration(room: str) -> dict[str, Any]:
    """For `logging.config.dictConfig`: all lines to stdout, our own from INFO on."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": JsonLines, "room": room}},
        "handlers": {"stdout": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "json"}},
        "root": {"level": "WARNING", "handlers": ["stdout"]},
        "loggers": {
            name: {"level": "INFO", "propagate": True} for name in ("thumbstack", "gunicorn.error", "gunicorn.access")
        },
    }
