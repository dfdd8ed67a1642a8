"""Verification of an erasure: finds remaining data in any spelling, and nothing else."""

import base64
import gzip
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from deploy.local import postgres
from libs.common.postgres.db_grants import user_of
from libs.common.privacy.erase_cli import KafkaCluster
from libs.common.privacy.verify_erasure import NothingSearchedError, Search, search_files, verify
from tests.common import wire
from tests.conftest import MakeDatabase, execute_as_owner

NAME, MAIL = "山田 花子", "hanako@example.jp"
SEARCH = Search.of([NAME, MAIL])

SPELLINGS = {
    "as it is": NAME.encode(),
    "without the blank": "山田花子様".encode(),
    "with a wide blank": "山田\u3000花子".encode(),
    "as JSON with escapes": json.dumps({"name": NAME}).encode(),
    "in an address": quote(f"?to={MAIL}", safe="").encode(),
    "in capitals": b"HANAKO@EXAMPLE.JP",
    "in wide letters": "ｈａｎａｋｏ＠ｅｘａｍｐｌｅ．ｊｐ".encode(),
    "in base64": b"Subject: =?utf-8?b?" + base64.b64encode(f"xy {NAME} 様".encode()) + b"?=",
    "in base64, one byte on": base64.b64encode(f"x{MAIL}".encode()),
    "among broken bytes": b"\xff\xfe" + MAIL.encode() + b"\xff",
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_thing_is_found_however_it_is_written(spelling: str) -> None:
    assert list(SEARCH.found_in(SPELLINGS[spelling]))


@pytest.mark.parametrize("written", ["09012345678", "+819012345678", "+81 90-1234-5678", "(090) 1234-5678"])
def test_a_telephone_number_is_found_with_other_signs_between_its_digits(written: str) -> None:
    assert list(Search.of(["090-1234-5678", "+81 90 1234 5678"]).found_in(written.encode()))


@pytest.mark.parametrize("other", ["山本 花子", "hanako@example.com", "taro@example.jp", "", "=?utf-8?b?5bGx?="])
def test_nothing_else_is_found(other: str) -> None:
    assert list(SEARCH.found_in(other.encode())) == []


def test_it_says_which_of_the_things_was_found() -> None:
    assert (list(SEARCH.found_in(MAIL.encode())), list(SEARCH.found_in(f"{MAIL} {NAME}".encode()))) == ([2], [1, 2])


@pytest.mark.parametrize(("things", "fault"), [([], "no search terms"), ([" "], "no search"), (["花子"], "term 1")])
def test_what_cannot_be_looked_for_is_refused(things: list[str], fault: str) -> None:
    with pytest.raises(NothingSearchedError, match=fault):
        Search.of(things)


async def test_looking_nowhere_is_no_proof() -> None:
    with pytest.raises(NothingSearchedError, match="nothing to search"):
        await verify(SEARCH, [], None, [])


COLUMNS = {
    "text": f"'to {MAIL}'",
    "varchar(100)": f"'{NAME}'",
    "jsonb": f"""'{{"a": [{{"b": "{NAME}"}}]}}'""",
    "json": r"""'{"name": "\u5c71\u7530 \u82b1\u5b50"}'""",
    "text[]": f"ARRAY['x', '{MAIL}']",
    "bytea[]": f"ARRAY[NULL, convert_to('{NAME}', 'UTF8')]",
    "bytea": f"convert_to('{NAME}', 'UTF8') || '\\x00ff'::bytea",
}


@pytest.mark.parametrize("column", COLUMNS)
async def test_it_is_found_in_a_column_of_any_type_of_any_table(database: MakeDatabase, column: str) -> None:
    url = await database("loyalty")
    await execute_as_owner(url, f'CREATE TABLE "Odd name" (n int, "Some column" {column})')
    await execute_as_owner(url, f'INSERT INTO "Odd name" VALUES (1, {COLUMNS[column]}), (2, NULL)')
    await execute_as_owner(url, f'GRANT SELECT ON "Odd name" TO "{user_of(url)}"')
    left = await verify(SEARCH, [url], None, [])
    assert [one.place for one in left] == [f"database {postgres.name_of(url)}: table Odd name, 1 row(s)"]


async def test_a_table_that_it_may_not_read_ends_it_rather_than_count_as_clean(database: MakeDatabase) -> None:
    url = await database("loyalty")
    await execute_as_owner(url, "CREATE TABLE hidden (n int)")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await verify(SEARCH, [url], None, [])


async def test_it_is_found_in_values_keys_and_headers_of_any_topic(kafka: str, topics: str) -> None:
    await wire.publish(
        kafka,
        [
            (topics + "issues", "k", json.dumps({"name": NAME}).encode(), []),
            (topics + "notices", MAIL, b"{}", []),
            (topics + "loyalty", "k", b"{}", [("about", NAME.encode())]),
            (topics + "payment.orders", "k", b"{}", []),
        ],
    )
    left = await verify(SEARCH, [], KafkaCluster(kafka, topics), [])
    assert {one.place for one in left} == {
        f"topic {topics}{name}, 1 record(s)" for name in ("issues", "loyalty", "notices")
    }


async def test_a_cluster_that_shows_no_topics_is_no_proof(kafka: str) -> None:
    with pytest.raises(NothingSearchedError, match="no topics"):
        await verify(SEARCH, [], KafkaCluster(kafka, "nobody-has-this-prefix."), [])


def test_it_is_found_in_files_packed_ones_and_names(tmp_path: Path) -> None:
    (tmp_path / "spans").mkdir()
    (tmp_path / "spans" / "1.json").write_text(json.dumps({"attributes": [MAIL]}))
    (tmp_path / "old.log.gz").write_bytes(gzip.compress(NAME.encode()))
    (tmp_path / f"{MAIL}.txt").touch()
    (tmp_path / "clean.log").write_text("nothing of anybody")
    found = {Path(one.place.removeprefix("file ")).name for one in search_files([tmp_path], SEARCH)}
    assert found == {"1.json", "old.log.gz", f"{MAIL}.txt"}


def run(things: str, *arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "libs.common.privacy.verify_erasure", *map(str, arguments)]
    return subprocess.run(command, input=things, capture_output=True, text=True, check=False, env={})


def test_the_command_says_where_and_ends_with_one(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text(MAIL)
    done = run(f"{NAME}\n{MAIL}\n", tmp_path)
    assert (done.returncode, done.stdout) == (1, f"found: term 2 in file {tmp_path / 'a.log'}\n")


def test_the_command_ends_with_nothing_where_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("all is well")
    done = run(f"{NAME}\n{MAIL}\n", tmp_path)
    assert (done.returncode, done.stdout) == (0, "nothing found of 2 term(s)\n")


def test_the_command_ends_with_two_where_it_could_not_search(tmp_path: Path) -> None:
    assert (run("", tmp_path).returncode, run(NAME).returncode) == (2, 2)
