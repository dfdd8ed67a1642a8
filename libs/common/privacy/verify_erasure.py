"""Proves that a customer is forgotten, or says where something is left: `python -m libs.common.privacy.verify_erasure`.

What to look for is given from outside, one thing a line on standard input or in a file (name, mail, phone, address):
the system does not know it any more. It is searched for in every table of every database it is given, in every record
of every topic, and in every file of the folders it is given (logs, exported spans, photos). Places are told, never what
stands there. Exit code 1 where anything is left, 2 where nothing could be searched.

It knows nothing of how the services keep things: no table and no topic is left out because of what it is for. A thing
is found however it is written: in another case or width, with the escapes of JSON, of an address, or of a mail; a
telephone number with or without what stands between its digits. What it
does not see: what Postgres has deleted and not overwritten yet (vacuum), its log and backups, Kafka's closed segments
under deletion, and what partners hold.
"""

import asyncio
import base64
import gzip
import json
import quopri
import sys
import unicodedata
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, quote_plus, urlsplit

import asyncpg
import typer
from aiokafka import AIOKafkaConsumer

from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load
from libs.common.postgres.pool import Connection
from libs.common.privacy.erase_cli import Cluster, partitions

SHORTEST, SHORTEST_IN_BASE64 = 4, 10
"""A thing of fewer characters is found everywhere by chance."""

FEWEST_DIGITS = 8
"""Of a telephone number."""


class NothingSearchedError(Exception):
    """What to look for, or where, was not said; the message says which."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is left: where, and the number of the thing that was found there."""

    place: str
    thing: int


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


_BETWEEN_DIGITS = str.maketrans("", "", "-()./ ")


def _telephone(text: str) -> set[str]:
    """A number without what stands between its digits, and without the zero that other countries leave out."""
    digits = "".join(character for character in _plain(text) if character.isdecimal())
    if len(digits) < FEWEST_DIGITS or not set(_plain(text)) <= set("0123456789+-()./ "):
        return set()
    return {digits, digits.lstrip("0")}


def spellings(thing: str) -> set[str]:
    """How this may be written, in small letters."""
    without_blanks = "".join(thing.split())
    found: set[str] = set()
    for text in {thing, without_blanks, _plain(thing), _plain(without_blanks), *_telephone(thing)}:
        found |= {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        found |= {quote(text), quote(text, ""), quote_plus(text)}
        found |= {quopri.encodestring(text.encode()).decode("ascii")}
        found |= set(_in_base64(text.encode()))
    return {one.casefold() for one in found if len(one) >= SHORTEST}


def _in_base64(text: bytes) -> Iterator[str]:
    """The part of it that is the same wherever it begins within three bytes."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + text).decode()
        part = encoded[-(-before * 8 // 6) : (before + len(text)) * 8 // 6]
        if len(part) >= SHORTEST_IN_BASE64:
            yield part


@dataclass(frozen=True)
class Search:
    """Things to look for, each in all its spellings."""

    things: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, things: Iterable[str]) -> "Search":
        """Raises `NothingSearchedError` where a thing is too short to mean anything."""
        wanted = [thing.strip() for thing in things if thing.strip()]
        if not wanted:
            raise NothingSearchedError("say what to look for, one thing a line: name, mail, phone, address")
        if short := next((n for n, thing in enumerate(wanted, 1) if len(thing) < SHORTEST), None):
            raise NothingSearchedError(f"thing {short} is shorter than {SHORTEST} characters: write more of it")
        return cls(tuple(frozenset(spellings(thing)) for thing in wanted))

    def found_in(self, content: bytes) -> Iterator[int]:
        """The numbers of the things that this holds, from 1 on."""
        text = content.decode("utf-8", errors="replace")
        plain = _plain(text)
        texts = {text.casefold(), plain, plain.translate(_BETWEEN_DIGITS)}
        for number, thing in enumerate(self.things, 1):
            if any(spelling in one for spelling in thing for one in texts):
                yield number


_COLUMNS = """
    SELECT c.relname, a.attname, t.typname = 'bytea' AS is_bytes
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'm') ORDER BY c.relname, a.attnum"""


async def search_database(conn: Connection, search: Search) -> AsyncIterator[Finding]:
    """Every column of every row, read to the end in one snapshot."""
    tables: dict[str, list[str]] = {}
    for table, column, is_bytes in await conn.fetch(_COLUMNS):
        name = '"' + column.replace('"', '""') + '"'
        text = name if is_bytes else f"convert_to({name}::text, 'UTF8')"
        tables.setdefault(table, []).append(f"coalesce({text}, '')")
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        for table, columns in tables.items():
            counts: dict[int, int] = {}
            whole = r" || '\x0a'::bytea || ".join(columns)
            quoted = '"' + table.replace('"', '""') + '"'
            async for row in conn.cursor(f"SELECT {whole} FROM {quoted}", prefetch=1000):  # noqa: S608 - from the catalog
                for thing in search.found_in(row[0]):
                    counts[thing] = counts.get(thing, 0) + 1
            for thing, count in counts.items():
                yield Finding(f"table {table}, {count} row(s)", thing)


async def search_topics(cluster: Cluster, search: Search) -> AsyncIterator[Finding]:
    """Every record of every topic under the prefix: key, value and headers."""
    async with AIOKafkaConsumer(
        **cluster.options, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100
    ) as consumer:
        found = await partitions(cluster)
        if not found:
            raise NothingSearchedError("Kafka shows no topics: may this user see them, and is the prefix right?")
        for name, places in sorted(found.items()):
            consumer.assign(places)
            begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
            await consumer.seek_to_beginning(*places)
            counts: dict[int, int] = {}
            todo = {place for place in places if begins[place] < ends[place]}
            while todo:
                for place, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        for thing in search.found_in(_whole(record)):
                            counts[thing] = counts.get(thing, 0) + 1
                    if await consumer.position(place) >= ends[place]:
                        todo.discard(place)
            for thing, count in counts.items():
                yield Finding(f"topic {name}, {count} record(s)", thing)


def _whole(record: Any) -> bytes:
    parts = [record.key, record.value, *(part for name, value in record.headers for part in (name.encode(), value))]
    return b"\n".join(part for part in parts if part)


def search_files(folders: Sequence[Path], search: Search) -> Iterator[Finding]:
    """Every file, by its content and its name; packed ones unpacked."""
    for folder in folders:
        for file in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if file.is_file():
                content = file.read_bytes()
                content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
                for thing in search.found_in(str(file).encode() + b"\n" + content):
                    yield Finding(f"file {file}", thing)


async def verify(
    search: Search, databases: Sequence[str], cluster: Cluster | None, folders: Sequence[Path]
) -> list[Finding]:
    """Everything that is left. Raises `NothingSearchedError` where there is nowhere to look."""
    if not databases and cluster is None and not folders:
        raise NothingSearchedError("say where to look: DATABASE_URLS, KAFKA_BOOTSTRAP_SERVERS, or folders")
    left: list[Finding] = []
    for url in databases:
        conn = await asyncpg.connect(url)
        try:
            name = urlsplit(url).path.removeprefix("/")
            left += [Finding(f"database {name}: {one.place}", one.thing) async for one in search_database(conn, search)]
        finally:
            await conn.close()
    if cluster:
        left += [one async for one in search_topics(cluster, search)]
    return left + list(search_files(folders, search))


def main(
    folders: Annotated[list[Path] | None, typer.Argument(help="Logs, exported spans, photos.", exists=True)] = None,
    what: Annotated[typer.FileText | None, typer.Option(help="A thing a line; else standard input.")] = None,
    database_urls: Annotated[str, typer.Option(envvar="DATABASE_URLS", help="With blanks between them.")] = "",
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")] = "",
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX")] = "",
) -> None:
    """Search databases, topics and files for what was known of a customer."""
    options = load(KafkaSecurity).kafka_client_options
    cluster = Cluster(bootstrap_servers, prefix, options) if bootstrap_servers else None
    try:
        search = Search.of(what or sys.stdin)
        left = asyncio.run(verify(search, database_urls.split(), cluster, folders or []))
    except NothingSearchedError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for one in left:
        typer.echo(f"left: thing {one.thing} in {one.place}")
    if left:
        raise typer.Exit(1)
    typer.echo(f"nothing is left of {len(search.things)} thing(s)")


if __name__ == "__main__":
    typer.run(main)
