"""Shared test resources: one Postgres and one Kafka broker per run, an empty database and topics per test.

Postgres runs without durability; the fault tests run a durable one. Each service's database is migrated once into a
template and cloned; a clone goes from test to test, emptied and compared with a fresh one (tests/databases.py).
"""

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local import apache_kafka, kafka, postgres
from deploy.local.mailbox import Mailbox, mailbox
from deploy.local.shared_servers import SharedServers, shared_server
from libs.common.events.topics import ALL_SERVICES
from libs.common.messaging.create_topics import create_topics
from libs.common.postgres.db_grants import user_of
from tests import examples, log_leak_plugin
from tests.databases import IDLE_DATABASES
from tests.ledger import assert_balances_equal_sums

examples.register()

MakeDatabase = Callable[[str], Awaitable[str]]
"""`await database("returns")` returns the URL of an empty, migrated database with the runtime role of the service.

The owner role (`as_owner`) has the rights that the runtime role lacks.
"""

_shared = pytest.StashKey[SharedServers]()
_choice = pytest.StashKey[kafka.BrokerChoice]()


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(log_leak_plugin, "silence")
    choice = config.stash[_choice] = _broker_of(config)
    if not hasattr(config, "workerinput"):
        run = f"test_{uuid.uuid4().hex[:8]}_"
        templates = {service: partial(_template, config, service, run) for service in ALL_SERVICES}
        config.stash[_shared] = SharedServers(
            {
                "kafka": partial(_kafka, choice.kind),
                "postgres": _postgres,
                "chromium": _chromium,
                "spans": partial(log_leak_plugin.span_receiver, config),
                **templates,
            }
        )


def _broker_of(config: pytest.Config) -> kafka.BrokerChoice:
    """Return the broker that the controlling process chose, since a choice starts Java."""
    if hasattr(config, "workerinput"):
        return kafka.BrokerChoice(*config.workerinput["broker"])
    try:
        return kafka.choose(os.environ.get("BROKER"))
    except kafka.BrokerUnavailableError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    choice = node.config.stash[_choice]
    node.workerinput["broker"] = (choice.kind, choice.reason)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _shared in config.stash:
        config.stash[_shared].close()


def pytest_report_header(config: pytest.Config) -> list[str]:
    choice = config.stash[_choice]
    name = {
        "apache": f"Apache Kafka {apache_kafka.version()}",
        "embedded": "embedded broker",
        "external": "broker given",
    }
    given = "the server that DATABASE_URL names" if os.environ.get("DATABASE_URL") else "embedded"
    return [f"kafka: {name[choice.kind]} ({choice.reason})", f"postgres: {given}"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = kafka.missing_for_apache()
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker("kafka")
        if missing and item.get_closest_marker("apache"):
            item.add_marker(pytest.mark.skip(reason=f"needs Apache Kafka, but {missing}"))


@contextmanager
def _kafka(kind: kafka.BrokerKind) -> Iterator[str]:
    with kafka.broker(kind) as running:
        yield running.bootstrap_servers


@contextmanager
def _postgres() -> Iterator[str]:
    with postgres.server(durable=False) as running:
        yield running.admin_url


@contextmanager
def _chromium() -> Iterator[str]:
    from tests.browser.serving import chromium_server  # only runs with browser tests import Playwright

    with chromium_server() as address:
        yield address


@contextmanager
def _template(config: pytest.Config, service: str, run: str) -> Iterator[str]:
    """Migrate a database of that service without open connections, as a template; yield both URLs."""
    admin_url = config.stash[_shared].get("postgres")
    access = asyncio.run(_make_template(admin_url, service, run))
    yield f"{access.url} {access.owner_url}"
    roles = f"DROP ROLE {access.runtime}, {user_of(access.owner_url)}"
    asyncio.run(_in_admin(admin_url, f"DROP DATABASE {run}{service} WITH (FORCE)", roles))


async def _make_template(admin_url: str, service: str, run: str) -> postgres.DatabaseAccess:
    access = (await postgres.provision(admin_url, [service], run))[service]
    await access.migrate(service)
    return access


def as_owner(url: str) -> str:
    """Return the URL of the same database for the role that owns and migrates it."""
    service = next(service for service in ALL_SERVICES if user_of(url).endswith(service))
    return postgres.url_of(shared_server(service).split()[1], database=postgres.name_of(url))


async def execute_as_owner(url: str, statement: str) -> None:
    """Execute a statement in a test's database that the runtime role may not."""
    await _in_admin(as_owner(url), statement)


async def _in_admin(admin_url: str, *statements: str) -> None:
    connection = await asyncpg.connect(admin_url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@pytest.fixture
async def database() -> AsyncIterator[MakeDatabase]:
    """`await database("returns")` returns an empty, migrated database: a new clone or an idle one of the pool."""
    async with made_databases() as make:
        yield make


@asynccontextmanager
async def made_databases() -> AsyncIterator[MakeDatabase]:
    """Databases for the length of the block, at whose end the balances of loyalty must equal the sums of the ledger."""
    made: dict[str, str] = {}

    async def make(service: str) -> str:
        name = IDLE_DATABASES.acquire(service) or await _clone(service)
        made[name] = service
        return postgres.url_of(shared_server(service).split()[0], database=name)

    yield make
    try:
        for name in (name for name, service in made.items() if service == "loyalty"):
            await assert_balances_equal_sums(postgres.url_of(shared_server("loyalty").split()[0], database=name))
    finally:
        await _drop(
            [
                name
                for name, service in made.items()
                if not await IDLE_DATABASES.release(shared_server("postgres"), service, name)
            ]
        )


async def _clone(service: str) -> str:
    template, name = shared_server(service).split()[0], f"test_{uuid.uuid4().hex}"
    role = postgres.name_of(template)
    create = f"CREATE DATABASE {name} OWNER {role}_owner TEMPLATE {role} STRATEGY FILE_COPY"
    close, let = f"REVOKE ALL ON DATABASE {name} FROM PUBLIC", f"GRANT CONNECT ON DATABASE {name} TO {role}"
    await _in_admin(shared_server("postgres"), create, close, let)
    await IDLE_DATABASES.record_baseline(shared_server("postgres"), service, name)
    return name


async def _drop(names: Sequence[str]) -> None:
    if names:
        await _in_admin(shared_server("postgres"), *(f"DROP DATABASE {name} WITH (FORCE)" for name in names))


def pytest_sessionfinish() -> None:
    asyncio.run(_drop(IDLE_DATABASES.drain()))


@pytest.fixture(name="kafka", scope="session")
def kafka_servers() -> str:
    """Bootstrap servers of the broker of the run; it creates no topics by itself, see `topics`."""
    return shared_server("kafka")


@pytest.fixture
async def topic_prefix(request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """Unique topic prefix; topics with it are deleted after the test."""
    prefix = new_topic_prefix()
    yield prefix
    if "kafka" in request.fixturenames:
        await delete_topics(shared_server("kafka"), prefix)


def new_topic_prefix() -> str:
    return f"t{uuid.uuid4().hex[:12]}."


@pytest.fixture
async def topics(kafka: str, topic_prefix: str) -> str:
    """Create all topics of the contract under `topic_prefix`; return the prefix."""
    await create_topics(kafka, topic_prefix, partitions=6)
    return topic_prefix


async def delete_topics(bootstrap_servers: str, prefix: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_topics([name for name in await admin.list_topics() if name.startswith(prefix)])
    finally:
        await admin.close()


@pytest.fixture
async def smtp() -> AsyncIterator[Mailbox]:
    """SMTP server: `smtp.url`, `smtp.messages`, `await smtp.wait_for(n)`, `smtp.refusals`."""
    async with mailbox() as box:
        yield box
