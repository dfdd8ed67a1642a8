"""The fixtures of all other tests."""

from email.message import EmailMessage

import aiosmtplib
import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient

from deploy.local.mailbox import Mailbox
from deploy.local.postgres import name_of
from deploy.local.shared_servers import shared_server
from libs.common.events.topics import ALL_SERVICES, TOPICS
from tests.conftest import MakeDatabase, as_owner, execute_as_owner
from tests.databases import IDLE_DATABASES


@pytest.mark.parametrize("service", ALL_SERVICES)
async def test_a_database_comes_migrated_and_belongs_to_its_owner_alone(database: MakeDatabase, service: str) -> None:
    connection = await asyncpg.connect(as_owner(await database(service)))
    owners = await connection.fetch("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'")
    me = await connection.fetchval("SELECT current_user")
    await connection.close()
    assert [row["tableowner"] for row in owners] == [me]


async def test_two_databases_of_a_service_do_not_share_rows(database: MakeDatabase) -> None:
    first, second = await database("loyalty"), await database("loyalty")
    for url in (first, second):
        connection = await asyncpg.connect(as_owner(url))
        await connection.execute("CREATE TABLE only_here (id int PRIMARY KEY)")
        await connection.close()
    assert first != second


async def test_a_used_database_is_reused_as_if_it_were_new(database: MakeDatabase) -> None:
    url = await database("returns")
    user = await asyncpg.connect(url)
    add = "INSERT INTO outbox (topic, key, value) VALUES ('topic', 'key', 'value') RETURNING id"
    first, second = await user.fetchval(add), await user.fetchval(add)
    assert await IDLE_DATABASES.release(shared_server("postgres"), "returns", name_of(url))
    assert IDLE_DATABASES.acquire("returns") == name_of(url)
    # Sessions that were still open are terminated.
    with pytest.raises((asyncpg.InterfaceError, asyncpg.PostgresConnectionError)):
        await user.fetchval(add)
    again = await asyncpg.connect(url)
    assert await again.fetchval("SELECT count(*) FROM outbox") == 0
    assert [await again.fetchval(add), second] == [first, first + 1]
    await again.close()


@pytest.mark.parametrize(
    ("service", "change"),
    [
        ("returns", "CREATE TABLE stray (id int)"),
        ("returns", "CREATE SCHEMA stray"),
        ("returns", "CREATE FUNCTION stray() RETURNS int LANGUAGE sql AS 'SELECT 1'"),
        ("returns", "ALTER TABLE outbox ADD COLUMN stray int"),
        ("returns", "ALTER TABLE outbox ALTER COLUMN created_at DROP NOT NULL"),
        ("returns", "ALTER TABLE outbox ADD CHECK (topic <> 'stray')"),
        ("loyalty", "ALTER TABLE entries DISABLE TRIGGER entries_append_only"),
        ("returns", "CREATE INDEX stray ON outbox (topic)"),
        ("returns", "GRANT DELETE ON migrations TO PUBLIC"),
        ("returns", "COMMENT ON TABLE outbox IS 'stray'"),
        ("returns", "DELETE FROM migrations"),
    ],
)
async def test_a_database_whose_schema_changed_is_not_reused(database: MakeDatabase, service: str, change: str) -> None:
    url = await database(service)
    await execute_as_owner(url, change)
    assert not await IDLE_DATABASES.release(shared_server("postgres"), service, name_of(url))


async def test_all_topics_of_the_contract_are_there_under_the_prefix(kafka: str, topics: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    existing = set(await admin.list_topics())
    await admin.close()
    assert {topics + topic.name for topic in TOPICS} <= existing


def letter(subject: str) -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@example.com", "customer@example.com", subject
    message.set_content("お詫び申し上げます。")
    return message


async def test_mail_is_kept_whole(smtp: Mailbox) -> None:
    await aiosmtplib.send(letter("ご注文について"), hostname="127.0.0.1", port=smtp.port)
    (message,) = await smtp.wait_for(1)
    assert message["Subject"] == "ご注文について"
    assert "お詫び" in message.get_content()


async def test_mail_is_refused_as_configured_and_accepted_afterwards(smtp: Mailbox) -> None:
    smtp.refusals.append("550 5.1.1 no such user")
    with pytest.raises(aiosmtplib.SMTPDataError, match="no such user"):
        await aiosmtplib.send(letter("first"), hostname="127.0.0.1", port=smtp.port)
    await aiosmtplib.send(letter("second"), hostname="127.0.0.1", port=smtp.port)
    assert [message["Subject"] for message in await smtp.wait_for(1)] == ["second"]


async def test_waiting_for_mail_that_does_not_come_ends(smtp: Mailbox) -> None:
    with pytest.raises(TimeoutError):
        await smtp.wait_for(1, seconds=0.05)
