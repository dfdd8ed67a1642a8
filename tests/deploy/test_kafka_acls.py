"""Rights on Kafka, on a broker that asks for them: with its own each service does all its work, and nothing else.

The broker knows nobody but those who prove themselves, and allows nothing that was not allowed. What everybody may do
stands here as a table, apart from the code that makes the rights: one too many, or one too few, is a failure.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import (
    NoError,
    TopicAuthorizationFailedError,
    for_code,
)
from aiokafka.protocol.admin import CreateAclsRequest

from deploy.api.api_docs import event_table
from deploy.kafka import acls
from deploy.kafka.acls import PRINCIPALS, AclOperation, AclRight, PatternType, ResourceType, rights
from libs.common.config.kafka_security import KafkaSecurity
from libs.common.events.topics import ALL_SERVICES, SERVICES, TOPICS, dead_letter_topic
from libs.common.messaging.create_topics import create_topics
from libs.common.privacy.erase_cli import KafkaCluster, erase
from tests.conftest import MakeDatabase
from tests.deploy.encrypted import Authority, Encrypted, encrypted_kafka
from tests.deploy.kafka_requests import may_join, requests, try_to_read, try_to_write
from tests.journey.backbone import backbone
from tests.journey.test_replacement import swap
from tests.running import eventually

#                             intake returns delivery_notify loyalty partners storefront warehouse courier payment ops
TABLE = """
storefront.orders             rw     r       r               r       w        w          -         -       -       -
storefront.issues             rw     -       -               -       w        w          -         -       -       -
storefront.customers          rw     r       r               r       w        w          -         -       -       -
storefront.consents           -      -       r               -       w        w          -         -       -       -
warehouse.orders              -      w       -               -       r        -          r         -       -       -
warehouse.events              -      r       -               -       w        -          w         -       -       -
carrier.orders                -      w       -               -       r        -          -         r       -       -
carrier.events                -      r       -               -       w        -          -         w       -       -
payment.orders                -      w       -               -       r        -          -         -       r       -
payment.events                -      r       -               -       w        -          -         -       w       -
issues                        rw     rw      r               r       r        r          -         -       -       -
notices                       r      r       w               -       r        r          -         -       -       -
loyalty                       r      -       r               w       r        r          -         -       -       -
product.alerts                w      -       r               -       r        r          r         -       -       -
anomalies                     rw     rw      w               w       rw       r          -         -       -       -
messages                      w      -       r               -       -        -          -         -       -       -
customers                     rw     rw      rw              rw      r        r          r         r       -       rw
events.rejected               w      w       -               -       r        r          r         r       r       -
intake.dead-letters           w      -       -               -       -        -          -         -       -       r
returns.dead-letters          -      w       -               -       -        -          -         -       -       r
delivery_notify.dead-letters  -      -       w               -       -        -          -         -       -       r
loyalty.dead-letters          -      -       -               w       -        -          -         -       -       r
partners.dead-letters         -      -       -               -       w        -          -         -       -       r
of.somebody.else              -      -       -               -       -        -          -         -       -       -
"""
ALLOWED = {row.split()[0]: dict(zip(PRINCIPALS, row.split()[1:], strict=True)) for row in TABLE.strip().splitlines()}
FOREIGN = "of.somebody.else"
"""A topic of the shop's other systems on the same broker."""

SHOP, TABLES = "shop.", "tables."
DONE: list[tuple[set[Any], set[Any]]] = [(set(), set()), (set(), set())]


def test_the_table_and_the_rights_say_the_same() -> None:
    expected = {
        (who, operation, topic)
        for topic, row in ALLOWED.items()
        for who, letters in row.items()
        for operation, letter in ((AclOperation.READ, "r"), (AclOperation.WRITE, "w"))
        if letter in letters
    }
    actual = [right for right in rights() if right.resource is ResourceType.TOPIC]
    assert {(right.principal, right.operation, right.name) for right in actual} == expected
    assert {right.pattern for right in actual} == {PatternType.LITERAL}
    assert set(ALLOWED) - {FOREIGN} == {topic.name for topic in TOPICS} | set(map(dead_letter_topic, ALL_SERVICES))


def test_every_producer_and_consumer_of_the_readme_has_the_right() -> None:
    for row in event_table().splitlines()[2:]:
        topic, _, givers, takers = (part.strip() for part in row.strip("|").split("|"))
        name = topic.split("`")[1]
        for who, letter in [(party, "w") for party in givers.split(", ")] + [
            (party, "r") for party in takers.split(", ")
        ]:
            if who != "who is interested":
                assert letter in ALLOWED[name][acls.principal_of(who)], f"{name}: {who}"


def test_groups_are_those_that_a_service_joins_and_whatever_a_partner_calls_its_own() -> None:
    groups = [right for right in rights("shop.") if right.resource is ResourceType.GROUP]
    assert {right.operation for right in groups} == {AclOperation.READ}
    for right in groups:
        own, others = (PatternType.LITERAL, "shop.{}"), (PatternType.PREFIXED, "shop.{}.")
        shape, name = own if right.principal in ALL_SERVICES else others
        assert (right.pattern, right.name) == (shape, name.format(right.principal))
    assert {right.principal for right in groups} >= set(ALL_SERVICES)


def test_the_lines_for_the_tool_say_every_right_once() -> None:
    printed: list[AclRight] = []
    for arguments in (line.split() for line in acls.shell_commands(rights(), "kafka:9092")):
        assert arguments[:6] == ["kafka-acls.sh", "--bootstrap-server", "kafka:9092", "--command-config",
                             "admin.properties", "--add"]  # fmt: skip
        named = dict(zip(arguments[6::2], arguments[7::2], strict=True))
        pattern = PatternType[named.get("--resource-pattern-type", "literal").upper()]
        who, operation = named["--allow-principal"].removeprefix("User:"), AclOperation[named["--operation"].upper()]
        printed += [
            AclRight(who, operation, ResourceType[flag.removeprefix("--").upper()], pattern, name)
            for flag, name in zip(arguments[6::2], arguments[7::2], strict=True)
            if flag in ("--topic", "--group")
        ]
    assert sorted(printed) == rights()


# --- on a broker ------------------------------------------------------------------------------------------------------

on_a_broker = pytest.mark.apache


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new()


@pytest.fixture(scope="module")
def strict_kafka(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    folder = tmp_path_factory.mktemp("kafka")
    with encrypted_kafka(authority, folder, PRINCIPALS, asks_for_rights=True) as kafka:
        asyncio.run(prepare(kafka, authority))
        yield kafka


async def prepare(kafka: Encrypted, authority: Authority) -> None:
    """Create topics and ACLs as the administrator for two shops on one broker, and wait until they are in force."""
    administrator = security(authority)
    async with inside(kafka) as admin:
        await admin.create_topics([NewTopic(TABLES + FOREIGN, 1, 1)])
    for prefix in (SHOP, TABLES):
        await create_topics(kafka.address, prefix, 1, administrator, partitions=6)
        await acls.apply(kafka.address, prefix, administrator)

    async def heard() -> bool:
        return [await acls.apply(kafka.address, prefix, administrator) for prefix in (SHOP, TABLES)] == DONE

    await eventually(heard, "the broker has all rights")


def security(authority: Authority, *user: str) -> KafkaSecurity:
    return KafkaSecurity.model_validate(authority.proof(*user))


@asynccontextmanager
async def inside(kafka: Encrypted) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.inside)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


@on_a_broker
async def test_each_service_does_its_whole_work_with_its_own_name(
    strict_kafka: Encrypted, authority: Authority, database: MakeDatabase, tmp_path: Path
) -> None:
    """From the order to the points and the erasure, with idempotent relays; no topic is created on the way."""
    before = await topics_of(strict_kafka)
    at_the_door = {"kafka_bootstrap_servers": strict_kafka.address, "kafka_idempotence": True}
    own = {name: {**at_the_door, **authority.proof(name)} for name in SERVICES}
    async with backbone(database, strict_kafka.inside, SHOP, tmp_path, own=own) as shop:
        await shop.place_order("order-1")
        issue_id = await shop.report("order-1")
        await swap(shop, issue_id)
        await shop.wait_for("points.granted", issue_id=issue_id)
        await shop.wait_for("notice.sent", issue_id=issue_id, kind="issue_resolved")
        ops = KafkaCluster(strict_kafka.address, SHOP, security(authority, "ops").kafka_client_options)
        await erase(ops, "customer of order-1", seconds=60)
        restarts = {name for name in SERVICES for what, _ in getattr(shop, name).service.counters.values
                    if what == "relay_restarted"}  # fmt: skip
        assert not restarts
    assert await topics_of(strict_kafka) == before


async def topics_of(kafka: Encrypted) -> set[str]:
    async with inside(kafka) as admin:
        return {name for name in await admin.list_topics() if name != "__consumer_offsets"}


@on_a_broker
@pytest.mark.parametrize("user", PRINCIPALS)
async def test_every_topic_answers_each_principal_as_the_table_says(
    user: str, strict_kafka: Encrypted, authority: Authority
) -> None:
    names = [TABLES + topic for topic in ALLOWED]
    async with requests(strict_kafka.address, security(authority, user).kafka_client_options) as ask:
        written, read = await try_to_write(ask, names), await try_to_read(ask, names)
    for letter, answers in (("w", written), ("r", read)):
        expected = {
            topic: NoError if letter in row[user] else TopicAuthorizationFailedError for topic, row in ALLOWED.items()
        }
        assert {name.removeprefix(TABLES): answer for name, answer in answers.items()} == expected, letter


@on_a_broker
@pytest.mark.parametrize("user", PRINCIPALS)
async def test_nobody_joins_the_groups_of_others(user: str, strict_kafka: Encrypted, authority: Authority) -> None:
    groups = {right.name: right.principal for right in rights(TABLES) if right.resource is ResourceType.GROUP}
    async with requests(strict_kafka.address, security(authority, user).kafka_client_options) as ask:
        joined = {group for group in groups if await may_join(ask, group)}
        assert not await may_join(ask, "of.somebody.else")
    assert joined == {group for group, principal in groups.items() if principal == user}


@on_a_broker
@pytest.mark.parametrize("user", PRINCIPALS)
async def test_nobody_makes_empties_or_deletes_a_topic_or_gives_rights(
    user: str, strict_kafka: Encrypted, authority: Authority
) -> None:
    proof = security(authority, user)
    admin = AIOKafkaAdminClient(bootstrap_servers=strict_kafka.address, **proof.kafka_client_options)
    await admin.start()
    try:
        names = [TABLES + topic for topic in ALLOWED]
        created = await admin.create_topics([NewTopic(TABLES + "new", 1, 1)])
        deleted = await admin.delete_topics(names)
        seen = [name for name in names if name in await admin.list_topics()]
        for name in seen:
            with pytest.raises(TopicAuthorizationFailedError):
                await admin.delete_records({TopicPartition(name, 0): RecordsToDelete(0)})
    finally:
        await admin.close()
    assert {for_code(code) for _, code, *_ in created.topic_errors} == {TopicAuthorizationFailedError}
    assert {for_code(code) for _, code in deleted.topic_error_codes} == {TopicAuthorizationFailedError}
    with pytest.raises(acls.AclError, match="ClusterAuthorizationFailed"):
        await acls.apply(strict_kafka.address, TABLES, proof)
    assert {name.removeprefix(TABLES) for name in seen} == {topic for topic, row in ALLOWED.items() if row[user] != "-"}


@on_a_broker
async def test_a_partner_reads_in_a_group_of_its_own_and_answers(strict_kafka: Encrypted, authority: Authority) -> None:
    options: dict[str, Any] = {
        "bootstrap_servers": strict_kafka.address, **security(authority, "warehouse").kafka_client_options
    }  # fmt: skip
    async with (
        AIOKafkaProducer(bootstrap_servers=strict_kafka.inside) as returns,
        AIOKafkaProducer(**options, enable_idempotence=True, acks="all") as answers,
        AIOKafkaConsumer(
            SHOP + "warehouse.orders", **options, group_id=SHOP + "warehouse.picking", auto_offset_reset="earliest"
        ) as orders,
    ):
        await returns.send_and_wait(SHOP + "warehouse.orders", b"{}", b"key")
        await orders.getone()
        await orders.commit()
        await answers.send_and_wait(SHOP + "warehouse.events", b"{}", b"key")


@on_a_broker
async def test_extra_rights_are_removed_and_missing_ones_added(strict_kafka: Encrypted, authority: Authority) -> None:
    administrator, prefix = security(authority), "third."
    besides = AclRight(
        "courier", AclOperation.READ, ResourceType.TOPIC, PatternType.LITERAL, "third.storefront.orders"
    ).entry
    elsewhere = AclRight(
        "courier", AclOperation.READ, ResourceType.TOPIC, PatternType.LITERAL, "fourth.storefront.orders"
    ).entry
    expected = {right.entry for right in rights(prefix)}
    async with requests(strict_kafka.address, administrator.kafka_client_options) as ask:
        for entry in (besides, elsewhere):
            await ask(CreateAclsRequest(*entry))

    async def applied() -> bool:
        added, removed = await acls.apply(strict_kafka.address, prefix, administrator)
        added_total.update(added)
        taken_away.update(removed)
        return (added, removed) == (set(), set())

    added_total: set[Any] = set()
    taken_away: set[Any] = set()
    await eventually(applied, "there is nothing left to do")
    assert (added_total, taken_away) == (expected, {besides})
