"""The whole system as processes: four services and the demo's partners, on one broker and one Postgres."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path

from deploy.local.kafka import Broker
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.postgres import Postgres, provision
from deploy.local.processes import ServiceProcess, Supervisor, answers_ok
from deploy.local.service_environment import ServiceEnvironment, service_command
from libs.common.events.topics import SERVICES
from libs.common.messaging.create_topics import create_topics

FEW_PARTITIONS = 6
"""One process per service needs no more, and a fetch names every partition."""

CALENDAR_FILE = Path(__file__).with_name("calendar.toml")

FORECAST_MINIMUM_DATES = 20
"""Fewer than by default: the story has no more orders of one warehouse in two weeks."""

SHOP_NAME = "さきだし商店"
SHOP_CONTACT = "03-0000-0000（平日 10時〜18時）"

SIMULATOR_START_SECONDS = 300.0
"""The storefront reads all its orders first; years of them take a while on a busy machine."""


@dataclass(frozen=True, slots=True)
class Infrastructure:
    """Broker and Postgres of a run, and the prefix that separates runs on the same servers."""

    broker: Broker
    postgres: Postgres
    folder: Path
    prefix: str

    @property
    def topic_prefix(self) -> str:
        return f"{self.prefix}." if self.prefix else ""


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """Orders, seed, share of reports and time zone of a replay."""

    orders: Path | None
    seed: int
    report_share: float
    zone: str
    clock_file: Path
    orders_count: int
    quiet_from: datetime | None = None

    @property
    def notification_settings(self) -> dict[str, str]:
        """Settings of delivery_notify. In a replay of real orders the carriers work around the clock, so overdue
        promises are handled late in the day; the clock driver waits for consumers, so notices need no grace period.
        """
        if self.orders is None:
            return {}
        return {"SHIP_CUTOFF": "23:50", "DELIVERY_CUTOFF": "23:50", "GRACE_MINUTES": "0"}


@dataclass
class DemoSystem:
    """All processes of a run with their addresses."""

    databases: dict[str, str]
    services: dict[str, ServiceProcess] = field(default_factory=dict)
    partners: dict[str, ServiceProcess] = field(default_factory=dict)
    link_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    keys: dict[str, str] = field(
        default_factory=lambda: {c: secrets.token_urlsafe(24) for c in ("storefront", "ops", "mail")}
    )

    def service_url(self, name: str) -> str:
        return self.services[name].url

    @property
    def mail_url(self) -> str:
        return self.partners["mail"].url

    @property
    def traces_url(self) -> str:
        return self.partners["traces"].url

    @property
    def simulator_url(self) -> str:
        """The address of all other partners, each under its name."""
        return self.partners["simulator"].url


async def prepare(infrastructure: Infrastructure, partitions: int = FEW_PARTITIONS) -> dict[str, str]:
    """Create databases, roles, tables and topics; returns the URL of each service's database."""
    databases = await provision(
        infrastructure.postgres.admin_url, SERVICES, f"{infrastructure.prefix}_" if infrastructure.prefix else ""
    )
    for service, database in databases.items():
        await database.migrate(service)
    servers = infrastructure.broker.bootstrap_servers
    await create_topics(servers, infrastructure.topic_prefix, partitions=partitions)
    return {service: database.url for service, database in databases.items()}


def start(
    supervisor: Supervisor, infrastructure: Infrastructure, replay: ReplaySettings, databases: Mapping[str, str]
) -> DemoSystem:
    """Start everything; returns when every service has joined Kafka and every partner answers."""
    system = DemoSystem(dict(databases))
    common = {
        "KAFKA_BOOTSTRAP_SERVERS": infrastructure.broker.bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": infrastructure.topic_prefix,
        "CLOCK_FILE": str(replay.clock_file),
        "SHOP_TIME_ZONE": replay.zone,
        "CALENDAR_FILE": str(CALENDAR_FILE),
        "LOG_LEVEL": "INFO",
    }
    smtp_port = free_port()
    mail = supervisor.start(
        "mail", ["-m", "deploy.demo.partners.mailcatcher"], {"SMTP_PORT": str(smtp_port)}, free_port()
    )
    system.partners["mail"] = mail
    system.partners["traces"] = supervisor.start("traces", ["-m", "deploy.demo.traces"], {}, free_port())
    common["OTEL_EXPORTER_OTLP_ENDPOINT"] = system.traces_url
    _start_services(supervisor, system, infrastructure, common, smtp_port, replay.notification_settings)
    _wait_for_services(system)
    _start_partners(supervisor, system, replay, common)
    for process in system.partners.values():
        process.wait_ready(SIMULATOR_START_SECONDS)
    return system


def _start_services(
    supervisor: Supervisor,
    system: DemoSystem,
    infrastructure: Infrastructure,
    common: Mapping[str, str],
    smtp_port: int,
    notification_settings: Mapping[str, str],
) -> None:
    ports = {name: free_port() for name in SERVICES}
    addresses = {name: f"http://{LOOPBACK}:{port}" for name, port in ports.items()}
    environment = ServiceEnvironment(
        infrastructure.broker.bootstrap_servers,
        infrastructure.topic_prefix,
        system.keys,
        system.link_secret,
        infrastructure.folder / "photos",
        smtp_url=f"smtp://{LOOPBACK}:{smtp_port}",
        mail_from=f"{SHOP_NAME} <shop@example.jp>",
        personal_data_key=secrets.token_urlsafe(32),
    )
    own = {
        "intake": {
            "NOTICES_URL": addresses["delivery_notify"],
            "OPS_URLS": ",".join(f"{name}={url}" for name, url in addresses.items() if name != "intake"),
            "OPS_KEY": system.keys["ops"],
            "TRACE_URL": system.traces_url + "/trace/{trace_id}",
            "DESK_SECURE_COOKIES": "false",
            "SHOP_NAME": SHOP_NAME,
            "SHOP_CONTACT": SHOP_CONTACT,
        },
        "delivery_notify": {
            "CUSTOMER_PAGES_URL": addresses["intake"],
            "SHOP_SELLER": f"{SHOP_NAME}、東京都渋谷区神宮前 9-99-9、電話 03-0000-0000",
            "SHOP_CONTACT": SHOP_CONTACT,
            "SHOP_PERSON": "お客様係",
            "SHOP_URL": "https://shop.example.jp",
            "MAIL_REPLY_DOMAIN": "reply.shop.example.jp",
            "FORECAST_MINIMUM_DATES": str(FORECAST_MINIMUM_DATES),
            **notification_settings,
        },
    }
    for name in SERVICES:
        env = {**environment.of(name, system.databases[name], addresses[name]), **common, **own.get(name, {})}
        system.services[name] = supervisor.start(name, service_command(name), env, ports[name])


def _wait_for_services(system: DemoSystem) -> None:
    for process in system.services.values():
        process.child.wait_until(partial(answers_ok, f"{process.url}/health/started"), 60)


def _start_partners(
    supervisor: Supervisor, system: DemoSystem, replay: ReplaySettings, common: Mapping[str, str]
) -> None:
    env = {
        **common,
        "INTAKE_URL": system.service_url("intake"),
        "RETURNS_URL": system.service_url("returns"),
        "LOYALTY_URL": system.service_url("loyalty"),
        "NOTICES_URL": system.service_url("delivery_notify"),
        "MAIL_URL": system.mail_url,
        "STOREFRONT_KEY": system.keys["storefront"],
        "OPS_KEY": system.keys["ops"],
        "MAIL_KEY": system.keys["mail"],
        "REPORT_SHARE": str(replay.report_share),
        "ALWAYS_WAIT": str(replay.orders is not None),
        "SEED": str(replay.seed),
        "ORDERS_COUNT": str(replay.orders_count),
        **({"ORDERS": str(replay.orders)} if replay.orders else {}),
        **({"QUIET_FROM": replay.quiet_from.isoformat()} if replay.quiet_from else {}),
    }
    system.partners["simulator"] = supervisor.start(
        "simulator", ["-m", "deploy.demo.partners.simulator"], env, free_port()
    )
