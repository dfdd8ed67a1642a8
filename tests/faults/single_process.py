"""All four services in one process, right or with one mutant, for proofs that need many short-lived systems.

SINGLE_PROCESS='{"port": ..., "environments": {...}, "changes": ["inbox_off"]}' python -m tests.faults.single_process

What is request for stands in the environment, since it holds passwords and a command line is read by everybody.
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

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from deploy.local.ports import LOOPBACK
from tests.faults.mutants import MUTANTS, PROVOCATIONS


def _app(service: str, environment: Mapping[str, str]) -> Any:
    """The service as it ships, with its own environment for as long as its settings are read."""
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
        routes = [Mount(f"/{service}", app) for service, app in apps.items()]
        config = uvicorn.Config(Starlette(routes=routes), host=LOOPBACK, port=port, log_config=None, access_log=False)
        await uvicorn.Server(config).serve()


def main() -> None:
    request = json.loads(os.environ.pop("SINGLE_PROCESS"))
    logging.basicConfig(level="WARNING", stream=sys.stderr)
    for name in request["changes"]:
        {**MUTANTS, **PROVOCATIONS}[name]()
    asyncio.run(run(request["port"], request["environments"]))


if __name__ == "__main__":
    main()
