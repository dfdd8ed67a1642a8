"""The system under test: Kafka, Postgres on its own disk, the services, and a proxy on every link between them.

The checker and the partners bypass the proxies, so that a cut between the harness and the servers cannot look like a
violation.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from deploy.demo.clock_driver import AdjustableClock
from deploy.local import kafka, postgres
from deploy.local.apache_kafka import ExtraListener
from deploy.local.kafka import Broker
from deploy.local.paths import LOGS, run_folder
from deploy.local.ports import LOOPBACK, kept_port
from deploy.local.postgres import Postgres
from deploy.local.processes import Supervisor
from deploy.local.service_environment import ServiceEnvironment
from libs.common.events.topics import ALL_SERVICES, GATEWAY
from libs.common.messaging.create_topics import create_topics
from tests.faults.disk import Disk
from tests.faults.evidence_store import evidence_store, store_environment
from tests.faults.http_peer import HttpPeer
from tests.faults.mail_server import MailServer
from tests.faults.partner_directory import partner_environment
from tests.faults.proxy import Proxy
from tests.faults.replica import Replica, make_replica
from tests.faults.slow_fsync import NoCompilerError, SlowFsync
from tests.faults.spans import Roots, span_sink
from tests.faults.webhook_receiver import webhook_receiver

FAULT_LOGS = LOGS / "faults"
PERSONAL_DATA_KEY = "a-key-for-the-columns-of-fault-runs"
LINK_SECRET = "a-secret-for-signing-links-in-fault-runs"
SESSION_TIMEOUT_MS = "6000"
METADATA_MAX_AGE_MS = "10000"
"""Time after which an added partition is read."""

JOIN_SECONDS = 300.0


@dataclass(frozen=True)
class FaultInfrastructure:
    """The servers of a run and the proxies before them: `links[service, "kafka"]`.

    `not_slow` is the reason where Postgres cannot be made slow.
    """

    broker: Broker
    postgres: Postgres
    disk: Disk
    folder: Path
    mail: MailServer
    webhooks: HttpPeer
    evidence: HttpPeer
    links: Mapping[tuple[str, str], Proxy]
    slow_fsync: SlowFsync | None = None
    not_slow: str = ""


@contextmanager
def fault_infrastructure(*, disk: bool = True) -> Iterator[FaultInfrastructure]:
    """Apache Kafka and a durable Postgres for this run only."""
    with ExitStack() as stack:
        folder = stack.enter_context(run_folder("faults"))
        listeners = {
            name: ExtraListener(name.replace("_", "").upper(), kept_port(), kept_port()) for name in ALL_SERVICES
        }
        small = Disk()
        stack.callback(small.unmount)
        server = stack.enter_context(
            postgres.server(
                log=FAULT_LOGS / "postgres.log",
                environ={},
                settings={"max_wal_size": "192MB", "min_wal_size": "32MB"},
                mount=small.mount if disk else None,
            )
        )
        slow, not_slow = _make_slow(server, stack) if disk else (None, "not asked for")
        broker = stack.enter_context(
            kafka.broker("apache", log=FAULT_LOGS / "kafka.log", listeners=list(listeners.values()))
        )
        port = urlsplit(server.admin_url).port
        assert port is not None, "our own server has a port"
        links = {
            **{
                (name, "kafka"): Proxy(f"{name} kafka", listener.advertised, listener.port)
                for name, listener in listeners.items()
            },
            **{(name, "postgres"): Proxy(f"{name} postgres", kept_port(), port) for name in ALL_SERVICES},
        }
        mail = MailServer.in_folder(folder, FAULT_LOGS / "mail.log")
        stack.callback(mail.process.kill)
        mail.process.start()
        webhooks = webhook_receiver(folder, FAULT_LOGS / "webhooks.log")
        evidence = evidence_store(folder, FAULT_LOGS / "evidence.log")
        for peer in (webhooks, evidence):
            stack.callback(peer.process.kill)
            peer.process.start()
        yield FaultInfrastructure(broker, server, small, folder, mail, webhooks, evidence, links, slow, not_slow)


def _make_slow(server: Postgres, stack: ExitStack) -> tuple[SlowFsync | None, str]:
    """Restart Postgres with a library that can let its fsync wait."""
    try:
        slow = SlowFsync.build()
    except NoCompilerError as error:
        return None, str(error)
    stack.callback(slow.remove)
    server.own_process.env.update(slow.environ)
    server.stop()
    server.start()
    return slow, ""


@dataclass
class FaultSystem:
    """The running system. `replicas` by service; the first of each is always meant to run.

    `owners` are the URLs of the databases for the roles that migrate them.
    """

    infrastructure: FaultInfrastructure
    supervisor: Supervisor
    databases: dict[str, str]
    prefix: str
    clock: AdjustableClock
    keys: dict[str, str]
    speed: float
    roots: Roots = field(default_factory=dict)
    replicas: dict[str, list[Replica]] = field(default_factory=dict)
    environments: dict[str, dict[str, str]] = field(default_factory=dict)
    owners: dict[str, str] = field(default_factory=dict)
    started: int = 0

    @property
    def name(self) -> str:
        """Its name at the servers that several systems share."""
        return self.prefix.rstrip(".") or "run"

    @property
    def servers(self) -> str:
        return self.infrastructure.broker.bootstrap_servers

    def link(self, service: str, server: str) -> Proxy:
        return self.infrastructure.links[service, server]

    def all_replicas(self) -> list[Replica]:
        return [replica for replicas in self.replicas.values() for replica in replicas]

    def running(self, service: str) -> list[Replica]:
        return [replica for replica in self.replicas[service] if replica.alive]

    def add_replica(self, service: str, arguments: tuple[str, ...] | None = None) -> Replica:
        """Start another process of this service; returns at once."""
        self.started += 1
        number = len(self.replicas.setdefault(service, [])) + 1
        clock_file = self.infrastructure.folder / f"{self.prefix}{service}-{self.started}.clock"
        env = self.environments[service]
        now = self.clock.now()
        replica = make_replica(self.supervisor, service, number, env, clock_file, now, arguments)
        replica.set_time(now, self.speed)
        self.replicas[service].append(replica)
        return replica

    def remove_replica(self, service: str) -> None:
        """Stop the newest process of this service gracefully."""
        replica = self.replicas[service].pop()
        replica.process.stop()
        self.supervisor.processes.remove(replica.process)

    def set_time(self, now: datetime, speed: float) -> None:
        """Set every clock to this time plus its skew."""
        self.speed = speed
        self.clock.set_time(now, speed)
        for replica in self.all_replicas():
            replica.set_time(now, speed)

    async def wait_until_joined(self, services: Sequence[str] = ALL_SERVICES, seconds: float = JOIN_SECONDS) -> None:
        """Wait until all running processes of these services have their partitions. Raises `TimeoutError`."""
        async with asyncio.timeout(seconds):
            for service in services:
                for replica in self.running(service):
                    while replica.alive and not await asyncio.to_thread(replica.has_joined):
                        await asyncio.sleep(0.1)


@asynccontextmanager
async def fault_system(
    infrastructure: FaultInfrastructure, now: datetime, speed: float, prefix: str = "", *, links: bool = True
) -> AsyncIterator[FaultSystem]:
    """Databases, topics and links without processes. `prefix` separates runs on one infrastructure; only one may have
    links.
    """
    databases = await postgres.provision(infrastructure.postgres.admin_url, ALL_SERVICES, prefix.replace(".", "_"))
    for service, database in databases.items():
        await database.migrate(service)
    urls = {service: database.url for service, database in databases.items()}
    await create_topics(infrastructure.broker.bootstrap_servers, prefix, partitions=6)
    async with AsyncExitStack() as stack:
        for proxy in infrastructure.links.values() if links else ():
            await proxy.start()
            stack.push_async_callback(proxy.stop)
        roots: Roots = {}
        endpoint = await stack.enter_async_context(span_sink(roots))
        supervisor = stack.enter_context(Supervisor(FAULT_LOGS / prefix))
        clock = AdjustableClock.create(infrastructure.folder / f"{prefix}true.clock", now, speed)
        assert isinstance(clock, AdjustableClock), "create() makes the class it is called on"
        keys = {caller: secrets.token_urlsafe(24) for caller in ("storefront", "ops")}
        running = FaultSystem(infrastructure, supervisor, urls, prefix, clock, keys, speed, roots)
        running.owners = {service: database.owner_url for service, database in databases.items()}
        running.environments = {name: _environment(running, name, endpoint, links) for name in ALL_SERVICES}
        try:
            yield running
        finally:
            await asyncio.to_thread(supervisor.stop)


def _environment(running: FaultSystem, service: str, endpoint: str, links: bool) -> dict[str, str]:
    database, servers = running.databases[service], running.servers
    if links:
        database = _through(database, running.link(service, "postgres").port)
        servers = f"{LOOPBACK}:{running.link(service, 'kafka').port}"
    others = running.infrastructure
    own = {"intake": store_environment(others.evidence, running.name), GATEWAY: partner_environment()}
    environment = ServiceEnvironment(
        servers,
        running.prefix,
        running.keys,
        LINK_SECRET,
        smtp_url=others.mail.url,
        personal_data_key=PERSONAL_DATA_KEY,
    )
    return {
        **environment.of(service, database, "http://localhost"),
        **own.get(service, {}),
        "KAFKA_SESSION_TIMEOUT_MS": SESSION_TIMEOUT_MS,
        "KAFKA_METADATA_MAX_AGE_MS": METADATA_MAX_AGE_MS,
        "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint,
    }


def _through(url: str, port: int) -> str:
    """The same database through the proxy on `port`."""
    parts = urlsplit(url)
    who = parts.netloc.rpartition("@")[0]
    return urlunsplit(parts._replace(netloc=f"{who}@{LOOPBACK}:{port}"))
