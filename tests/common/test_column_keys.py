"""Encrypted columns: readable with their key and table only; a service never runs without a key that it needs."""

from collections.abc import AsyncIterator

import asyncpg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.config.settings import ServiceSettings
from libs.common.postgres.column_keys import NO_KEYS, ColumnKeyError, ColumnKeys
from libs.common.postgres.key_register import register, registered_keys, retire_others
from libs.common.postgres.pool import Connection
from tests.conftest import MakeDatabase

OLD, NEW = "an-old-key-of-more-than-32-characters", "a-new-key-of-more-than-32-characters"


@given(st.binary(max_size=200))
def test_a_value_is_read_with_its_key_among_any_and_shows_nothing_of_itself(plain: bytes) -> None:
    sealed = ColumnKeys([OLD]).seal("contacts", plain)
    assert ColumnKeys([NEW, OLD]).open("contacts", sealed) == plain
    assert len(plain) < 4 or plain not in sealed


def test_equal_values_cannot_be_recognized_as_equal() -> None:
    keys = ColumnKeys([NEW])
    assert keys.seal("contacts", b"Hana") != keys.seal("contacts", b"Hana")


def test_a_value_without_its_key_names_the_key_that_is_missing() -> None:
    sealed = ColumnKeys([OLD]).seal("contacts", b"Hana")
    with pytest.raises(ColumnKeyError, match=ColumnKeys([OLD]).ids[0].hex()):
        ColumnKeys([NEW]).open("contacts", sealed)


@pytest.mark.parametrize("change", ["table", "content"])
def test_a_changed_value_or_one_of_another_table_is_refused(change: str) -> None:
    keys = ColumnKeys([NEW])
    sealed = keys.seal("contacts", b"Hana")
    table, value = ("preferences", sealed) if change == "table" else ("contacts", sealed[:-1] + b"\x00")
    with pytest.raises(ColumnKeyError, match="changed, or belongs to another table"):
        keys.open(table, value)


@given(st.binary(max_size=50))
def test_without_keys_values_stay_as_they_are(plain: bytes) -> None:
    assert NO_KEYS.reveal("outbox", NO_KEYS.seal("outbox", plain)) == plain


@pytest.mark.parametrize("keys", [NO_KEYS, ColumnKeys([NEW])])
def test_bytes_of_a_stranger_that_only_look_encrypted_are_left_alone(keys: ColumnKeys) -> None:
    forged = ColumnKeys(["a-key-that-only-a-stranger-has-xxxxx"]).seal("dead_letters", b"poison")
    assert keys.reveal("dead_letters", forged) == forged


def test_an_address_is_found_in_any_case_and_only_with_the_lookup_key() -> None:
    keys, others = ColumnKeys([NEW]), ColumnKeys([NEW])
    keys.lookup_key, others.lookup_key = b"a" * 32, b"b" * 32
    assert keys.digest("Hana@Example.jp") == keys.digest("hana@example.jp")
    assert len({each.digest("hana@example.jp") for each in (keys, others, NO_KEYS)}) == 3


@pytest.mark.parametrize(
    ("value", "fault"), [("short", "32 characters or more"), (f"{NEW},{NEW}", "contains a key twice")]
)
def test_weak_keys_are_refused_at_start(value: str, fault: str) -> None:
    settings = {"database_url": "postgresql://none", "kafka_bootstrap_servers": "none:1"}
    with pytest.raises(ValueError, match=fault):
        ServiceSettings.model_validate({**settings, "personal_data_keys": value})


@pytest.fixture
async def conn(database: MakeDatabase) -> AsyncIterator[Connection]:
    connection = await asyncpg.connect(await database("loyalty"))
    yield connection
    await connection.close()


async def registered(conn: Connection, *secrets: str) -> ColumnKeys:
    keys = ColumnKeys(secrets)
    await register(conn, keys)
    return keys


async def test_the_lookup_key_is_the_same_over_restarts_and_rotations(conn: Connection) -> None:
    first = await registered(conn, OLD)
    later = [await registered(conn, *secrets) for secrets in ((OLD,), (NEW, OLD), (OLD, NEW))]
    await retire_others(conn, ColumnKeys([NEW]))
    assert {each.lookup_key for each in (*later, await registered(conn, NEW))} == {first.lookup_key}


async def test_the_lookup_key_is_not_readable_in_the_database(conn: Connection) -> None:
    keys = await registered(conn, NEW)
    assert keys.lookup_key not in await conn.fetchval("SELECT lookup_key FROM column_keys")


@pytest.mark.parametrize("secrets", [(), (NEW,)])
async def test_a_service_does_not_start_without_a_key_that_rows_need(
    conn: Connection, secrets: tuple[str, ...]
) -> None:
    old = await registered(conn, OLD)
    with pytest.raises(ColumnKeyError, match=f"key {old.ids[0].hex()} is missing"):
        await registered(conn, *secrets)


async def test_a_key_that_is_retired_is_needed_no_longer(conn: Connection) -> None:
    await registered(conn, OLD)
    keys = await registered(conn, NEW, OLD)
    assert await retire_others(conn, keys) == ColumnKeys([OLD]).ids
    await registered(conn, NEW)


async def test_a_command_encrypts_with_the_key_that_the_service_registered_last(database: MakeDatabase) -> None:
    conn = await asyncpg.connect(await database("returns"))
    try:
        assert not (await registered_keys(conn, ColumnKeys([OLD]))).is_encrypting
        await register(conn, ColumnKeys([OLD]))
        await register(conn, ColumnKeys([NEW, OLD]))
        for configured in (ColumnKeys([OLD, NEW]), ColumnKeys([NEW, OLD])):
            sealed = (await registered_keys(conn, configured)).seal("outbox", b"Hana")
            assert ColumnKeys([NEW]).open("outbox", sealed) == b"Hana"
        with pytest.raises(ColumnKeyError, match=r"is missing; set the keys of the service"):
            await registered_keys(conn, ColumnKeys([OLD]))
    finally:
        await conn.close()
