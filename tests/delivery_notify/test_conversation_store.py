"""Cache of conversations: equal to the database after writes of other replicas and after rollbacks."""

from collections.abc import AsyncIterator
from contextlib import suppress

import asyncpg
import pytest

from libs.common.postgres.pool import ConflictError, Connection
from services.delivery_notify.domain.conversation import Conversation
from services.delivery_notify.store import conversation_table
from services.delivery_notify.store.conversation_table import ConversationTable, VersionedConversation
from tests.conftest import MakeDatabase

KEY = "O-1"


class _RollbackError(Exception):
    """Roll the transaction back."""


@pytest.fixture
async def conn(database: MakeDatabase) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database("delivery_notify"))
    yield connection
    await connection.close()


def conversation(market: str) -> Conversation:
    """Build a conversation that its market identifies."""
    return Conversation(KEY, "C-1", market=market)


async def write(conn: Connection, table: ConversationTable, version: int, market: str) -> Conversation:
    written = conversation(market)
    async with conn.transaction():
        await table.load(conn, [KEY])
        await table.save(conn, {KEY: VersionedConversation(version, written)})
    return written


async def read(conn: Connection, table: ConversationTable) -> VersionedConversation:
    async with conn.transaction():
        return (await table.load(conn, [KEY]))[KEY]


async def test_a_written_conversation_is_cached(conn: Connection) -> None:
    """Covers the insert of a new conversation and the update of a changed one."""
    table = ConversationTable()
    made = await write(conn, table, 0, "JP")
    assert (await read(conn, table)).conversation is made
    changed = await write(conn, table, 1, "EU")
    assert (await read(conn, table)).conversation is changed


async def test_a_loaded_conversation_is_cached(conn: Connection) -> None:
    await write(conn, ConversationTable(), 0, "JP")
    table = ConversationTable()
    assert (await read(conn, table)).conversation is (await read(conn, table)).conversation


async def test_a_write_of_another_replica_invalidates_the_cached_row(conn: Connection) -> None:
    ours, theirs = ConversationTable(), ConversationTable()
    await write(conn, ours, 0, "JP")
    await write(conn, theirs, 1, "EU")
    assert await read(conn, ours) == VersionedConversation(2, conversation("EU"))


@pytest.mark.parametrize("version", [0, 1])
async def test_a_rolled_back_write_is_not_cached(conn: Connection, version: int) -> None:
    """Covers another replica that then wrote the same version."""
    ours, theirs = ConversationTable(), ConversationTable()
    if version:
        await write(conn, ours, 0, "JP")
    with suppress(_RollbackError):
        async with conn.transaction():
            await ours.load(conn, [KEY])
            await ours.save(conn, {KEY: VersionedConversation(version, conversation("US"))})
            raise _RollbackError
    await write(conn, theirs, version, "EU")
    assert await read(conn, ours) == VersionedConversation(version + 1, conversation("EU"))


async def test_a_write_rolled_back_to_a_savepoint_is_not_cached(conn: Connection) -> None:
    table = ConversationTable()
    async with conn.transaction():
        await table.save(conn, {KEY: VersionedConversation(0, conversation("JP"))})
        with suppress(_RollbackError):
            async with conn.transaction():
                await table.save(conn, {KEY: VersionedConversation(1, conversation("US"))})
                raise _RollbackError
    assert await read(conn, table) == VersionedConversation(1, conversation("JP"))


@pytest.mark.parametrize("version", [0, 2])
async def test_a_version_that_is_not_the_next_one_is_a_conflict(conn: Connection, version: int) -> None:
    table = ConversationTable()
    await write(conn, table, 0, "JP")
    with pytest.raises(ConflictError):
        await write(conn, table, version, "EU")
    assert await read(conn, table) == VersionedConversation(1, conversation("JP"))


async def test_the_cache_keeps_the_latest_conversations_up_to_its_limit(
    conn: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_table, "CACHED_CONVERSATIONS", 2)
    table = ConversationTable()
    async with conn.transaction():
        await table.save(conn, {f"O-{n}": VersionedConversation(0, Conversation(f"O-{n}")) for n in range(5)})
    assert list(table._cache.rows) == ["O-3", "O-4"]
