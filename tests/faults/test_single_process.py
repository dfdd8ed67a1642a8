"""All services in one process answer under their names, through the server that each uses alone."""

import json
from functools import partial
from pathlib import Path

from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import Supervisor, answers_ok
from tests.conftest import MakeDatabase
from tests.running import NO_KAFKA


async def test_each_service_is_ready_under_its_name(database: MakeDatabase, tmp_path: Path) -> None:
    environments = {
        name: {"DATABASE_URL": await database(name), "KAFKA_BOOTSTRAP_SERVERS": NO_KAFKA}
        for name in ("returns", "loyalty")
    }
    port = free_port()
    request = json.dumps({"port": port, "environments": environments, "changes": []})
    with Supervisor(tmp_path) as supervisor:
        process = supervisor.start("all", ["-m", "tests.faults.single_process"], {"SINGLE_PROCESS": request}, port)
        for name in environments:
            url = f"http://{LOOPBACK}:{port}/{name}/health/ready"
            process.child.wait_until(partial(answers_ok, url), 60)
