"""Logs as JSON lines on stderr, with service, event id, issue id and trace id."""

import json
import logging
import sys
from datetime import UTC, datetime

from libs.common.telemetry import log_context


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object per line. Log records hold ids, no personal data (invariant 12)."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            **log_context.fields(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(level: str, service: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # These log every rebalance, call or connection; counters and the health routes show what matters of it.
    for name in ("aiokafka", "faststream", "uvicorn.access", "httpx"):
        logging.getLogger(name).setLevel("WARNING")
