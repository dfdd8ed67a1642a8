"""The processes of a benchmark run: the four services and the partner, on a real clock, without traces and mail."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.demo.system import Infrastructure
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.processes import ServiceProcess, Supervisor, answers_ok
from deploy.local.service_environment import RUNTIME, ServiceEnvironment, service_command
from libs.common.events.topics import SERVICES

JOIN_SECONDS = 90.0
"""The time for all consumers to join; long, since the machine may be shared."""


@dataclass
class BenchSystem:
    """The running processes, and the API key of the reports.

    `seconds_to_ready` is the longest time from the start of a service until it has its partitions, if they were started
    in turn: four at once would measure the number of cores.
    """

    databases: Mapping[str, str]
    api_key: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    services: dict[str, ServiceProcess] = field(default_factory=dict)
    partner: ServiceProcess | None = None
    seconds_to_ready: float = 0.0

    @property
    def intake_port(self) -> int:
        port = self.services["intake"].port
        assert port is not None, "services have ports"
        return port

    def pids(self) -> dict[str, int]:
        processes = {**self.services, **({"partner": self.partner} if self.partner else {})}
        return {name: process.pid for name, process in processes.items()}


def start(
    supervisor: Supervisor,
    infrastructure: Infrastructure,
    databases: Mapping[str, str],
    tracing: Mapping[str, str] | None = None,
    launcher: str = RUNTIME,
    *,
    in_turn: bool = False,
) -> BenchSystem:
    """Start everything; returns when every service has its partitions. `tracing` configures the span exporter,
    `launcher` is the module that runs a service; with `in_turn` a service starts when the one before is ready.
    """
    system = BenchSystem(databases)
    environment = bench_environment(infrastructure, system.api_key)
    for name in SERVICES:
        begin = time.perf_counter()
        process = start_service(supervisor, environment, name, databases[name], tracing=tracing, launcher=launcher)
        system.services[name] = process
        if in_turn:
            wait_until_started(process)
            system.seconds_to_ready = max(system.seconds_to_ready, time.perf_counter() - begin)
    for process in system.services.values():
        wait_until_started(process)
    topics = {
        "KAFKA_BOOTSTRAP_SERVERS": environment.kafka_servers,
        "KAFKA_TOPIC_PREFIX": environment.topic_prefix,
    }
    system.partner = supervisor.start("bench-partner", ["-m", "tests.bench.partner"], topics)
    return system


def bench_environment(infrastructure: Infrastructure, api_key: str) -> ServiceEnvironment:
    return ServiceEnvironment(
        infrastructure.broker.bootstrap_servers,
        infrastructure.topic_prefix,
        {"storefront": api_key, "ops": secrets.token_urlsafe(24)},
        secrets.token_urlsafe(32),
        infrastructure.folder / "photos",
    )


def start_service(
    supervisor: Supervisor,
    environment: ServiceEnvironment,
    name: str,
    database_url: str,
    *,
    replica: str = "",
    tracing: Mapping[str, str] | None = None,
    launcher: str = RUNTIME,
) -> ServiceProcess:
    """Start one process of this service, on its own port."""
    port = free_port()
    env = {**environment.of(name, database_url, f"http://{LOOPBACK}:{port}"), **(tracing or {})}
    return supervisor.start(name + replica, service_command(name, launcher), env, port)


def wait_until_started(process: ServiceProcess) -> None:
    """Return when it has joined every topic."""
    process.child.wait_until(lambda: answers_ok(f"{process.url}/health/started"), JOIN_SECONDS)
