"""All four services in one process, correct or with one mutant, for tests that need many short-lived systems.

    SINGLE_PROCESS='{"port": 1, "environments": {}, "changes": ["inbox_off"]}' python -m tests.faults.single_process

The request is in the environment, since it contains passwords and command lines are visible to every account.
"""

import asyncio
import importlib
import json
import logging
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from fastapi import FastAPI
from starlette.routing import BaseRoute, Mount

from deploy.local.ports import LOOPBACK
from libs.common.runtime.server import http_server
from tests.faults.mutants import MUTANTS, PROVOCATIONS


def _app(service: str, environment: Mapping[str, str]) -> Any:
    """The service as shipped, with its own environment while its settings are read."""
    before = dict(os.environ)
    os.environ.update(environment)
    try:
        return importlib.import_module(f"services.{service}.app").create_app()
    finally:
        os.environ.clear()
        os.environ.update(before)


async def run(port: int, environments: Mapping[str, Mapping[str, str]]) -> None:
    """Serve each service under its name, until killed."""
    apps = {service: _app(service, environment) for service, environment in environments.items()}
    async with AsyncExitStack() as stack:
        for app in apps.values():
            await stack.enter_async_context(app.router.lifespan_context(app))
        routes: list[BaseRoute] = [Mount(f"/{service}", app) for service, app in apps.items()]
        settings = next(iter(apps.values())).state.service.settings
        address = {"http_host": LOOPBACK, "http_port": port}
        await http_server(FastAPI(routes=routes, openapi_url=None), settings.model_copy(update=address)).serve()


def main() -> None:
    request = json.loads(os.environ.pop("SINGLE_PROCESS"))
    logging.basicConfig(level="WARNING", stream=sys.stderr)
    for name in request["changes"]:
        {**MUTANTS, **PROVOCATIONS}[name]()
    asyncio.run(run(request["port"], request["environments"]))


if __name__ == "__main__":
    main()
