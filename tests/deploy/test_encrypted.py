"""Kafka and Postgres over TLS by settings alone, on real servers: only authenticated clients connect."""

import ssl
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError

from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import ServiceSettings
from libs.common.events.storefront import OrderCancelled
from libs.common.messaging.create_topics import create_topics
from libs.common.postgres.db_grants import grant_privileges, user_of
from tests.common import sample_service, wire
from tests.conftest import MakeDatabase, as_owner
from tests.deploy.encrypted import Authority, encrypted_kafka, postgres_behind_tls
from tests.running import running

pytestmark = pytest.mark.apache


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new()


@pytest.fixture(scope="module")
def servers(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with encrypted_kafka(authority, tmp_path_factory.mktemp("kafka")) as kafka:
        yield kafka.address


async def test_a_service_works_over_sasl_ssl_and_postgres_tls(
    authority: Authority, servers: str, database: MakeDatabase, tmp_path: Path
) -> None:
    url = await database("loyalty")
    conn = await asyncpg.connect(as_owner(url))
    await conn.execute(sample_service.SCHEMA)
    await grant_privileges(conn, user_of(url))
    await conn.close()
    ca = tmp_path / "ca.pem"
    ca.write_text(authority.pem)
    security = KafkaSecurity.model_validate(authority.proof())
    await create_topics(servers, "tls.", 1, security, partitions=6)
    async with (
        postgres_behind_tls(authority, url) as encrypted,
        running(
            sample_service.create_app,
            ServiceSettings,
            database=f"{encrypted}?sslmode=verify-full&sslrootcert={ca}",
            kafka=servers,
            prefix="tls.",
            **authority.proof(),
        ),
        AIOKafkaProducer(bootstrap_servers=servers, **security.kafka_client_options) as producer,
        AIOKafkaConsumer(
            "tls.loyalty", bootstrap_servers=servers, auto_offset_reset="earliest", **security.kafka_client_options
        ) as consumer,
    ):
        cancelled = OrderCancelled(order_id="O-1", cause="sold out", cancelled_at=datetime.now(UTC))
        await producer.send_and_wait("tls.storefront.orders", wire.event_bytes(cancelled), b"O-1")
        record = await consumer.getone()
    assert record.key == b"O-1"


@pytest.mark.parametrize(
    "wrong",
    [
        {"kafka_sasl_password": "another-password"},
        {"kafka_ca": ""},
        {"kafka_security_protocol": "SSL", "kafka_sasl_username": "", "kafka_sasl_password": ""},
        {
            "kafka_security_protocol": "PLAINTEXT",
            "kafka_sasl_username": "",
            "kafka_sasl_password": "",
            "kafka_ca": "",
        },
    ],
    ids=["wrong password", "another authority", "no name", "no TLS"],
)
@pytest.mark.filterwarnings("ignore:Unclosed")
async def test_a_client_that_does_not_prove_itself_gets_nowhere(
    authority: Authority, servers: str, wrong: dict[str, str]
) -> None:
    values = {name: value for name, value in {**authority.proof(), **wrong}.items() if value}
    options = KafkaSecurity.model_validate(values).kafka_client_options
    producer = AIOKafkaProducer(bootstrap_servers=servers, request_timeout_ms=2_000, **options)
    with pytest.raises((KafkaConnectionError, ssl.SSLError)):
        await producer.start()
    await producer.stop()


async def test_postgres_is_refused_when_its_certificate_is_not_of_the_authority(
    authority: Authority, database: MakeDatabase, tmp_path: Path
) -> None:
    other = tmp_path / "other.pem"
    other.write_text(Authority.new().pem)
    async with postgres_behind_tls(authority, await database("loyalty")) as encrypted:
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncpg.connect(f"{encrypted}?sslmode=verify-full&sslrootcert={other}")
