"""Conversations known by heart are those in the database, whoever wrote them and whatever was rolled back."""

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


class _GivenUpError(Exception):
    """The transaction comes to nothing."""


@pytest.fixture
async def conn(database: MakeDatabase) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database("delivery_notify"))
    yield connection
    await connection.close()


def said(market: str) -> Conversation:
    """One that can be told from others by its market."""
    return Conversation(KEY, "C-1", market=market)


async def write(conn: Connection, table: ConversationTable, version: int, market: str) -> Conversation:
    written = said(market)
    async with conn.transaction():
        await table.load(conn, [KEY])
        await table.save(conn, {KEY: VersionedConversation(version, written)})
    return written


async def read(conn: Connection, table: ConversationTable) -> VersionedConversation:
    async with conn.transaction():
        return (await table.load(conn, [KEY]))[KEY]


async def test_what_was_written_cache_is_not_read_again(conn: Connection) -> None:
    """New or changed: each is written by a statement of its own."""
    table = ConversationTable()
    made = await write(conn, table, 0, "JP")
    assert (await read(conn, table)).conversation is made
    changed = await write(conn, table, 1, "EU")
    assert (await read(conn, table)).conversation is changed


async def test_what_was_read_cache_is_not_read_again(conn: Connection) -> None:
    await write(conn, ConversationTable(), 0, "JP")
    table = ConversationTable()
    assert (await read(conn, table)).conversation is (await read(conn, table)).conversation


async def test_what_another_replica_wrote_is_read(conn: Connection) -> None:
    ours, theirs = ConversationTable(), ConversationTable()
    await write(conn, ours, 0, "JP")
    await write(conn, theirs, 1, "EU")
    assert await read(conn, ours) == VersionedConversation(2, said("EU"))


@pytest.mark.parametrize("version", [0, 1])
async def test_what_was_rolled_back_never_was(conn: Connection, version: int) -> None:
    """Also where somebody else then wrote the same version of it."""
    ours, theirs = ConversationTable(), ConversationTable()
    if version:
        await write(conn, ours, 0, "JP")
    with suppress(_GivenUpError):
        async with conn.transaction():
            await ours.load(conn, [KEY])
            await ours.save(conn, {KEY: VersionedConversation(version, said("US"))})
            raise _GivenUpError
    await write(conn, theirs, version, "EU")
    assert await read(conn, ours) == VersionedConversation(version + 1, said("EU"))


async def test_what_was_rolled_back_to_a_savepoint_never_was(conn: Connection) -> None:
    table = ConversationTable()
    async with conn.transaction():
        await table.save(conn, {KEY: VersionedConversation(0, said("JP"))})
        with suppress(_GivenUpError):
            async with conn.transaction():
                await table.save(conn, {KEY: VersionedConversation(1, said("US"))})
                raise _GivenUpError
    assert await read(conn, table) == VersionedConversation(1, said("JP"))


@pytest.mark.parametrize("version", [0, 2])
async def test_a_version_that_is_not_the_next_one_is_a_conflict(conn: Connection, version: int) -> None:
    table = ConversationTable()
    await write(conn, table, 0, "JP")
    with pytest.raises(ConflictError):
        await write(conn, table, version, "EU")
    assert await read(conn, table) == VersionedConversation(1, said("JP"))


async def test_only_so_many_are_remembered_the_latest(conn: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversation_table, "CACHED_CONVERSATIONS", 2)
    table = ConversationTable()
    async with conn.transaction():
        await table.save(conn, {f"O-{n}": VersionedConversation(0, Conversation(f"O-{n}")) for n in range(5)})
    assert list(table._cache.rows) == ["O-3", "O-4"]
