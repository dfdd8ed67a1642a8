"""Verifies an erasure: `python -m libs.common.privacy.verify_erasure` searches for remaining personal data.

Search terms (name, mail address, phone number, address) are read one per line from standard input or a file. Searched
are all tables of the given databases, all records of all topics, and all files of the given folders (logs, exported
spans, photos). Only places are printed, never the content. Exit code 1 if anything is found, 2 if nothing was searched.
Encrypted values are decrypted with PERSONAL_DATA_KEYS, the keys of all services with commas between them; one whose key
is not among them ends the search rather than count as clean.

No table or topic is exempt. A term is found in other case or width, with the escapes of JSON, URLs or mail, and a phone
number with or without separators. Not covered: rows deleted by Postgres and not vacuumed yet, its log and backups,
Kafka segments in deletion, and data at partners.
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

from libs.common.config.column_key_settings import ColumnKeySettings
from libs.common.config.kafka_security import KafkaSecurity
from libs.common.config.settings import load
from libs.common.postgres.column_keys import MAGIC, NO_KEYS, ColumnKeyError, ColumnKeys, configured_keys, keys_of
from libs.common.postgres.pool import Connection
from libs.common.privacy.erase_cli import KafkaCluster, partitions

MIN_LENGTH, MIN_BASE64_LENGTH = 4, 10
"""Minimum characters of a term; shorter ones match by chance."""

MIN_PHONE_DIGITS = 8


class NothingSearchedError(Exception):
    """No search term or nothing to search; the message names which."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A match: its place and the number of the search term."""

    place: str
    term: int


def _normalise(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


_SEPARATORS = str.maketrans("", "", "-()./ ")


def _phone_numbers(text: str) -> set[str]:
    """Return a phone number without separators, and without its leading zeros, as in the international form."""
    digits = "".join(character for character in _normalise(text) if character.isdecimal())
    if len(digits) < MIN_PHONE_DIGITS or not set(_normalise(text)) <= set("0123456789+-()./ "):
        return set()
    return {digits, digits.lstrip("0")}


def spellings(term: str) -> set[str]:
    """Return the possible spellings of a term in lower case."""
    without_blanks = "".join(term.split())
    found: set[str] = set()
    for text in {term, without_blanks, _normalise(term), _normalise(without_blanks), *_phone_numbers(term)}:
        found |= {text, json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        found |= {quote(text), quote(text, ""), quote_plus(text)}
        found |= {quopri.encodestring(text.encode()).decode("ascii")}
        found |= set(_in_base64(text.encode()))
    return {spelling.casefold() for spelling in found if len(spelling) >= MIN_LENGTH}


def _in_base64(text: bytes) -> Iterator[str]:
    """Yield the base64 parts that do not depend on neighbouring bytes, for each of the three alignments."""
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + text).decode()
        part = encoded[-(-before * 8 // 6) : (before + len(text)) * 8 // 6]
        if len(part) >= MIN_BASE64_LENGTH:
            yield part


@dataclass(frozen=True)
class Search:
    """Search terms, each in all its spellings."""

    terms: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, terms: Iterable[str]) -> "Search":
        """Create a search. Raises `NothingSearchedError` without terms or for one that is too short."""
        wanted = [term.strip() for term in terms if term.strip()]
        if not wanted:
            raise NothingSearchedError("no search terms; give one per line: name, mail address, phone number, address")
        if short := next((n for n, term in enumerate(wanted, 1) if len(term) < MIN_LENGTH), None):
            raise NothingSearchedError(f"term {short}: shorter than {MIN_LENGTH} characters; use a longer one")
        return cls(tuple(frozenset(spellings(term)) for term in wanted))

    def found_in(self, content: bytes) -> Iterator[int]:
        """Yield the numbers of the terms in this content, from 1."""
        text = content.decode("utf-8", errors="replace")
        normalised = _normalise(text)
        texts = {text.casefold(), normalised, normalised.translate(_SEPARATORS)}
        for number, term in enumerate(self.terms, 1):
            if any(spelling in each for spelling in term for each in texts):
                yield number


_COLUMNS = """
    SELECT c.relname, a.attname, t.typname
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'm') ORDER BY c.relname, a.attnum"""


def _as_bytes(name: str, kind: str) -> str:
    """Return the expression for the content of a column as bytes; the text form of bytes in an array is digits."""
    if kind == "bytea":
        return name
    if kind == "_bytea":
        return rf"(SELECT string_agg(e, '\x0a'::bytea) FROM unnest({name}) AS e)"  # noqa: S608 - from the catalog
    return f"convert_to({name}::text, 'UTF8')"


async def search_database(conn: Connection, search: Search) -> AsyncIterator[Finding]:
    """Search every column of every row, in one snapshot. Raises `ColumnKeyError` for a value that it cannot decrypt."""
    keys = keys_of(conn)
    tables: dict[str, list[str]] = {}
    encryptable: dict[str, list[str]] = {}
    for table, column, kind in await conn.fetch(_COLUMNS):
        name = '"' + column.replace('"', '""') + '"'
        tables.setdefault(table, []).append(f"coalesce({_as_bytes(name, kind)}, '')")
        if kind in ("bytea", "_bytea"):
            encryptable.setdefault(table, []).append(f"ARRAY[{name}]" if kind == "bytea" else name)
    async with conn.transaction(isolation="repeatable_read", readonly=True):
        for table, columns in tables.items():
            counts: dict[int, int] = {}
            row_bytes = r" || '\x0a'::bytea || ".join(columns)
            quoted = '"' + table.replace('"', '""') + '"'
            sealed = " || ".join(encryptable.get(table, ())) or "ARRAY[]::bytea[]"
            query = f"SELECT {row_bytes}, {sealed} FROM {quoted}"  # noqa: S608 - from the catalog
            async for row in conn.cursor(query, prefetch=1000):
                opened = [keys.open(table, value) for value in row[1] or () if value and value.startswith(MAGIC)]
                for term in search.found_in(b"\n".join([row[0], *opened])):
                    counts[term] = counts.get(term, 0) + 1
            for term, count in counts.items():
                yield Finding(f"table {table}, {count} row(s)", term)


async def search_topics(cluster: KafkaCluster, search: Search) -> AsyncIterator[Finding]:
    """Search key, value and headers of every record of every topic under the prefix."""
    async with AIOKafkaConsumer(
        **cluster.options, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100
    ) as consumer:
        found = await partitions(cluster)
        if not found:
            raise NothingSearchedError("Kafka lists no topics; check the permissions of this user and the prefix")
        for name, assigned in sorted(found.items()):
            consumer.assign(assigned)
            begins, ends = await consumer.beginning_offsets(assigned), await consumer.end_offsets(assigned)
            await consumer.seek_to_beginning(*assigned)
            counts: dict[int, int] = {}
            unread = {each for each in assigned if begins[each] < ends[each]}
            while unread:
                for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        for term in search.found_in(_content(record)):
                            counts[term] = counts.get(term, 0) + 1
                    if await consumer.position(partition) >= ends[partition]:
                        unread.discard(partition)
            for term, count in counts.items():
                yield Finding(f"topic {name}, {count} record(s)", term)


def _content(record: Any) -> bytes:
    parts = [record.key, record.value, *(part for name, value in record.headers for part in (name.encode(), value))]
    return b"\n".join(part for part in parts if part)


def search_files(folders: Sequence[Path], search: Search) -> Iterator[Finding]:
    """Search content and name of every file; gzip files are decompressed."""
    for folder in folders:
        for file in sorted(folder.rglob("*")) if folder.is_dir() else [folder]:
            if file.is_file():
                content = file.read_bytes()
                content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
                for term in search.found_in(str(file).encode() + b"\n" + content):
                    yield Finding(f"file {file}", term)


async def verify(
    search: Search,
    databases: Sequence[str],
    cluster: KafkaCluster | None,
    folders: Sequence[Path],
    keys: ColumnKeys = NO_KEYS,
) -> list[Finding]:
    """Return all findings. Raises `NothingSearchedError` without a database, cluster or folder."""
    if not databases and cluster is None and not folders:
        raise NothingSearchedError("nothing to search; set DATABASE_URLS or KAFKA_BOOTSTRAP_SERVERS, or name folders")
    findings: list[Finding] = []
    for url in databases:
        conn = await asyncpg.connect(url, connection_class=keys.connection_class)
        try:
            name = urlsplit(url).path.removeprefix("/")
            findings += [
                Finding(f"database {name}: {each.place}", each.term) async for each in search_database(conn, search)
            ]
        finally:
            await conn.close()
    if cluster:
        findings += [finding async for finding in search_topics(cluster, search)]
    return findings + list(search_files(folders, search))


def main(
    folders: Annotated[list[Path] | None, typer.Argument(help="Logs, exported spans, photos.", exists=True)] = None,
    what: Annotated[typer.FileText | None, typer.Option(help="Search terms, one per line.")] = None,
    database_urls: Annotated[str, typer.Option(envvar="DATABASE_URLS", help="URLs separated by blanks.")] = "",
    bootstrap_servers: Annotated[str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS")] = "",
    prefix: Annotated[str, typer.Option(envvar="KAFKA_TOPIC_PREFIX")] = "",
) -> None:
    """Search databases, topics and files for remaining personal data of a customer."""
    options = load(KafkaSecurity).kafka_client_options
    cluster = KafkaCluster(bootstrap_servers, prefix, options) if bootstrap_servers else None
    try:
        search = Search.of(what or sys.stdin)
        keys = configured_keys(load(ColumnKeySettings))
        findings = asyncio.run(verify(search, database_urls.split(), cluster, folders or [], keys))
    except (NothingSearchedError, ColumnKeyError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for finding in findings:
        typer.echo(f"found: term {finding.term} in {finding.place}")
    if findings:
        raise typer.Exit(1)
    typer.echo(f"nothing found of {len(search.terms)} term(s)")


if __name__ == "__main__":
    typer.run(main)
