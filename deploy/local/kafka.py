"""A Kafka broker for local runs: Apache Kafka, or the small embedded broker of `embedded_kafka`.

Production runs Apache Kafka, so CI requires it and the benchmark and the fault tests use it. Its jars come from Maven
Central by `deploy/kafka/pom.xml` and run in KRaft mode, broker and controller in one process. The embedded broker needs
nothing: it starts at once and holds everything in memory (a restart loses it).
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from deploy.local import apache_kafka
from deploy.local.apache_kafka import ExtraListener
from deploy.local.command_line import CommandError
from deploy.local.kafka_probe import responds
from deploy.local.local_server import LocalServer
from deploy.local.managed_process import ManagedProcess
from deploy.local.paths import LOGS, ROOT, run_folder
from deploy.local.ports import LOOPBACK, kept_port

BrokerKind = Literal["apache", "embedded", "external"]

START_SECONDS = 180.0


class BrokerUnavailableError(CommandError):
    """The requested broker cannot run here; the message names the missing part."""


@dataclass(frozen=True, slots=True)
class BrokerChoice:
    """The selected broker and the reason, for the output."""

    kind: BrokerKind
    reason: str


@dataclass(frozen=True, slots=True)
class Broker(LocalServer):
    """A running broker. A restart keeps its address; only Apache Kafka keeps its topics."""

    SELECTED_BY = "KAFKA_BOOTSTRAP_SERVERS"

    kind: BrokerKind
    bootstrap_servers: str
    process: ManagedProcess | None = None

    def wait_ready(self) -> None:
        self.own_process.wait_until(lambda: responds(self.bootstrap_servers), START_SECONDS)


def choose(requested: str | None = None, environ: Mapping[str, str] = os.environ) -> BrokerChoice:
    """The requested broker, else the external one, else Apache Kafka, else the embedded one.

    Raises `BrokerUnavailableError` if the requested one cannot run here, or if CI would run without Apache Kafka.
    """
    missing = missing_for_apache()
    if requested in ("apache", "embedded"):
        if requested == "apache" and missing:
            raise BrokerUnavailableError(
                f"BROKER: apache needs more than there is: {missing}; install it, or write embedded"
            )
        return BrokerChoice("apache" if requested == "apache" else "embedded", "requested")
    if requested:
        raise BrokerUnavailableError(f"BROKER: {requested!r} is not a broker; write apache or embedded")
    if environ.get("KAFKA_BOOTSTRAP_SERVERS"):
        return BrokerChoice("external", "KAFKA_BOOTSTRAP_SERVERS is set")
    if not missing:
        return BrokerChoice("apache", "Java and Maven are available")
    if environ.get("CI", "").lower() == "true":
        raise BrokerUnavailableError(f"CI requires Apache Kafka, but {missing}")
    return BrokerChoice("embedded", missing)


def missing_for_apache() -> str:
    """The missing requirement of Apache Kafka; empty where it can run."""
    major = apache_kafka.java_major()
    if major < 17:
        return f"Java {major} is too old (17 or newer is needed)" if major else "there is no Java 17 or newer"
    if not apache_kafka.is_downloaded() and shutil.which("mvn") is None:
        return "there is no Maven to fetch it with"
    return ""


@contextmanager
def broker(
    kind: BrokerKind, *, heap_mb: int = 512, log: Path | None = None, listeners: Sequence[ExtraListener] = ()
) -> Iterator[Broker]:
    """Run a broker for the length of the block, on a free loopback port and on data that is removed afterwards.

    `listeners` (Apache Kafka only) are added to the one in `bootstrap_servers`.
    """
    if kind == "external":
        yield Broker("external", os.environ["KAFKA_BOOTSTRAP_SERVERS"])
        return
    with ExitStack() as stack:
        port = kept_port()
        log = log or LOGS / "kafka.log"
        if kind == "apache":
            process = apache_kafka.prepare(stack.enter_context(run_folder("kafka")), port, heap_mb, log, listeners)
        else:
            process = _embedded(port, log)
        running = Broker(kind, f"{LOOPBACK}:{port}", process)
        stack.callback(process.kill)
        running.start()
        yield running


def _embedded(port: int, log: Path) -> ManagedProcess:
    command = [sys.executable, "-m", "deploy.local.embedded_kafka", LOOPBACK, str(port)]
    return ManagedProcess("kafka (embedded)", command, log=log, env={"PYTHONPATH": str(ROOT)})
