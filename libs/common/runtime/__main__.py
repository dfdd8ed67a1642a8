"""Runs one service: `python -m libs.common.runtime services.intake.app`. Also sets up its log: JSON lines on stderr."""

import gc
import importlib
import json
import logging
import sys
from datetime import UTC, datetime

import typer
import uvicorn
from fastapi import FastAPI

from libs.common.config.settings import ServiceSettings
from libs.common.http.connection_limits import Limits, limited_protocol


class JsonFormatter(logging.Formatter):
    """One object a line, so that a log store can read it; what is logged names ids, never people."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def set_up_logging(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # These log every rebalance, call or connection; what matters of it is counted or shown by the health routes.
    for name in ("aiokafka", "faststream", "uvicorn.access", "httpx"):
        logging.getLogger(name).setLevel("WARNING")


def freeze_gc() -> None:
    """Leave alone what was made at start, and look for cycles seldom: events and states have none.

    Measured under load: with Python's default the collector took up to a fifth of a service's time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def main(app: str) -> None:
    """Serve APP, a module with `create_app`, until SIGTERM; what is under way is finished first."""
    module = importlib.import_module(app)
    application = module.create_app()
    settings = application.state.service.settings
    set_up_logging(settings.log_level)
    freeze_gc()
    serving = server(application, settings)
    serving.run()
    if not serving.started:
        sys.exit(3)  # as uvicorn does where the port is taken or Postgres is not there


def server(application: FastAPI, settings: ServiceSettings, limits: Limits | None = None) -> uvicorn.Server:
    """The HTTP server of a service, within its limits."""
    return uvicorn.Server(
        uvicorn.Config(
            application,
            host=settings.http_host,
            port=settings.http_port,
            loop="uvloop",
            http=limited_protocol(limits or Limits(connections=settings.http_connections)),
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=10,
        )
    )


if __name__ == "__main__":
    typer.run(main)
