"""Both brokers behind one interface; features of Apache Kafka are tested on it alone."""

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from deploy.local import apache_kafka
from deploy.local.kafka import Broker, BrokerChoice, BrokerKind, BrokerUnavailableError, broker, choose
from deploy.local.kafka_probe import responds
from deploy.local.managed_process import NotReadyError

APACHE = pytest.param("apache", marks=pytest.mark.apache)


@pytest.fixture(scope="module", params=[APACHE, "embedded"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    assert request.param in get_args(BrokerKind)
    with broker(request.param, heap_mb=256, log=tmp_path_factory.mktemp("logs") / "kafka.log") as running:
        yield running


async def send(running: Broker, topic: str, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=running.bootstrap_servers, acks="all", enable_idempotence=True)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value)
    finally:
        await producer.stop()


async def read_first(running: Broker, topic: str) -> bytes:
    consumer = AIOKafkaConsumer(bootstrap_servers=running.bootstrap_servers, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(topic, 0)])
        return bytes((await consumer.getone()).value)
    finally:
        await consumer.stop()


async def make_topic(running: Broker, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=running.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, 1, 1)])
    finally:
        await admin.close()


async def test_what_is_sent_can_be_read(running: Broker) -> None:
    await make_topic(running, "greetings")
    await send(running, "greetings", b"moshi moshi")
    assert await read_first(running, "greetings") == b"moshi moshi"


async def test_started_again_it_answers_at_the_same_address(running: Broker) -> None:
    before = running.pid
    running.restart()
    assert running.pid != before
    assert responds(running.bootstrap_servers)


def test_frozen_it_answers_nobody_until_it_goes_on(running: Broker) -> None:
    running.pause()
    silent = not responds(running.bootstrap_servers)
    running.resume()
    assert silent
    running.wait_ready()


def test_it_listens_on_loopback_only(running: Broker) -> None:
    sockets = psutil.Process(running.pid).net_connections("tcp")
    addresses = {socket.laddr.ip.removeprefix("::ffff:") for socket in sockets if socket.status == psutil.CONN_LISTEN}
    assert addresses == {"127.0.0.1"}


@pytest.mark.apache
async def test_apache_kafka_keeps_what_it_acknowledged_over_sigkill(tmp_path: Path) -> None:
    with broker("apache", heap_mb=256, log=tmp_path / "kafka.log") as running:
        await make_topic(running, "kept")
        await send(running, "kept", b"acknowledged")
        running.kill()
        assert not responds(running.bootstrap_servers)
        running.start()
        assert await read_first(running, "kept") == b"acknowledged"


def test_nothing_is_left_of_a_broker_after_its_block(tmp_path: Path) -> None:
    with broker("embedded", log=tmp_path / "kafka.log") as running:
        pid = running.pid
    assert not psutil.pid_exists(pid)


def test_a_broker_that_cannot_start_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.kafka.kept_port", lambda: 99_999)
    with pytest.raises(NotReadyError, match=r"embedded.*ended with code"), broker("embedded", log=tmp_path / "log"):
        pass


def without_java(monkeypatch: pytest.MonkeyPatch, major: int = 0) -> None:
    monkeypatch.setattr(apache_kafka, "java_major", lambda: major)


def test_with_java_and_maven_apache_kafka_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    without_java(monkeypatch, major=17)
    monkeypatch.setattr(apache_kafka, "is_downloaded", lambda: True)
    assert choose(None, {}) == BrokerChoice("apache", "Java and Maven are available")


def test_without_java_the_embedded_broker_is_chosen_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    without_java(monkeypatch)
    assert choose(None, {}) == BrokerChoice("embedded", "there is no Java 17 or newer")


def test_an_old_java_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    without_java(monkeypatch, major=11)
    assert choose(None, {}).reason == "Java 11 is too old (17 or newer is needed)"


def test_in_ci_doing_without_apache_kafka_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    without_java(monkeypatch)
    with pytest.raises(BrokerUnavailableError, match="CI requires Apache Kafka"):
        choose(None, {"CI": "true"})


def test_an_external_broker_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose(None, {"KAFKA_BOOTSTRAP_SERVERS": "kafka:9092"}).kind == "external"


def test_an_unknown_broker_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BrokerUnavailableError, match="apache or embedded"):
        choose("rabbit")
