"""Runs one service: `python -m libs.common.runtime services.intake.app`."""

import gc
import importlib
import sys

import typer


def main(app: str) -> None:
    """Serve APP, a module with `create_app`, until SIGTERM; running batches and requests are finished first."""
    gc.disable()  # until `freeze_gc`: a start makes hardly any garbage, and looking for it took a sixth of its CPU time
    from libs.common.runtime.json_logs import set_up_logging
    from libs.common.runtime.server import freeze_gc, http_server
    from libs.common.runtime.warm_up import warm_up

    application = importlib.import_module(app).create_app()
    service = application.state.service
    set_up_logging(service.settings.log_level, service.name)
    warm_up(service.publishes, service.preparations)
    freeze_gc()
    server = http_server(application, service.settings)
    server.run()
    if not server.started:
        sys.exit(3)  # as uvicorn's own command does when the port is taken or start-up fails


if __name__ == "__main__":
    typer.run(main)
