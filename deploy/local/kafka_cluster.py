"""A cluster of Apache Kafka: three brokers with three replicas, two of them in sync, and one controller.

The controller is a process of its own, so that it elects leaders also while two of three brokers are dead.
"""

import base64
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.local import apache_kafka
from deploy.local.kafka import Broker
from deploy.local.managed_process import ManagedProcess
from deploy.local.paths import LOGS, run_folder
from deploy.local.ports import LOOPBACK, kept_port

BROKERS = 3
CONTROLLER_ID = 100

_REPLICATED = {
    "default.replication.factor": "3",
    "min.insync.replicas": "2",
    "offsets.topic.replication.factor": "3",
    "transaction.state.log.replication.factor": "3",
    "transaction.state.log.min.isr": "2",
    "share.coordinator.state.topic.replication.factor": "3",
    "share.coordinator.state.topic.min.isr": "2",
    "num.replica.fetchers": "1",
}


@dataclass(frozen=True)
class BrokerCluster:
    """A running cluster. `brokers` are controlled one by one, by their numbers from 1."""

    brokers: Mapping[int, Broker]
    controller: ManagedProcess

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(broker.bootstrap_servers for broker in self.brokers.values())


@contextmanager
def cluster(*, heap_mb: int = 256, log: Path | None = None) -> Iterator[BrokerCluster]:
    """Run three brokers and a controller for the length of the block, on data that is removed afterwards."""
    log = log or LOGS / "kafka-cluster.log"
    with ExitStack() as stack:
        folder = stack.enter_context(run_folder("kafka"))
        voters = {"controller.quorum.voters": f"{CONTROLLER_ID}@{LOOPBACK}:{(controller_port := kept_port())}"}
        listener = f"CONTROLLER://{LOOPBACK}:{controller_port}"
        own = {"process.roles": "controller", "listeners": listener, **voters, **_REPLICATED}
        controller = _node(folder, CONTROLLER_ID, 0, own, 128, log)
        stack.callback(controller.kill)
        controller.start()
        brokers: dict[int, Broker] = {}
        for number in range(1, BROKERS + 1):
            port = kept_port()
            own = {"process.roles": "broker", "listeners": f"PLAINTEXT://{LOOPBACK}:{port}", **voters, **_REPLICATED}
            process = _node(folder, number, port, own, heap_mb, log)
            brokers[number] = Broker("apache", f"{LOOPBACK}:{port}", process)
            stack.callback(process.kill)
            process.start()
        for broker in brokers.values():
            broker.wait_ready()
        yield BrokerCluster(brokers, controller)


def _node(folder: Path, id: int, port: int, own: Mapping[str, str], heap_mb: int, log: Path) -> ManagedProcess:
    """Return a node of the cluster, not yet started. `port` is 0 for the controller."""
    data, settings = folder / f"data-{id}", folder / f"server-{id}.properties"
    shutil.copytree(apache_kafka.formatted_data(), data)
    directory_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "A")
    _write(data / "meta.properties", {"node.id": str(id), "directory.id": directory_id})
    settings.write_text(apache_kafka.settings_text(port, 0, data), encoding="utf-8")
    _write(settings, {"node.id": str(id), **own}, without=() if port else ("advertised.listeners",))
    return ManagedProcess(f"kafka {id}", [*apache_kafka.broker_of(heap_mb), settings], log=log)


def _write(path: Path, changed: Mapping[str, str], without: tuple[str, ...] = ()) -> None:
    """Change properties of a file."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "=" in line and line[0] != "#"]
    known = {name: value for name, _, value in (line.partition("=") for line in lines)}
    kept = {name: value for name, value in {**known, **changed}.items() if name not in without}
    path.write_text("".join(f"{name}={value}\n" for name, value in kept.items()), encoding="utf-8")
