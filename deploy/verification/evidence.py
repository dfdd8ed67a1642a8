"""Evidence of a run from outside: the records of every topic, rows of the databases, mails and logs.

Part of the auditor, so it shares no code with the services or the contract: records are parsed as JSON, rows are used
as stored. An unreadable record stays visible as one without a body.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from heapq import merge
from typing import Any
from zoneinfo import ZoneInfo

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Fact:
    """One Kafka record. `written_ms` is the record's own timestamp, in real milliseconds."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    written_ms: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def body(self) -> dict[str, Any]:
        try:
            value = json.loads(self.value)
        except (ValueError, RecursionError):  # deeply nested brackets exhaust the parser
            return {}
        return value if isinstance(value, dict) else {}

    @cached_property
    def type(self) -> str:
        return str(self.body.get("type", "")).removesuffix(".v1")

    @property
    def data(self) -> dict[str, Any]:
        value = self.body.get("data")
        return value if isinstance(value, dict) else {}

    @property
    def identity(self) -> tuple[str, str]:
        return str(self.body.get("source")), str(self.body.get("id"))

    @property
    def issue(self) -> str:
        return str(self.data.get("issue_id") or "")

    @property
    def order(self) -> str:
        return str(self.data.get("order_id") or "")

    @cached_property
    def event_time(self) -> datetime:
        return parse_time(self.body["time"])

    @cached_property
    def written_at(self) -> float:
        """The time of its write to the topic in seconds: a later record is not its cause, whatever the clocks of
        services show.
        """
        return self.written_ms / 1000 if self.written_ms else self.event_time.timestamp()

    def __str__(self) -> str:
        return f"{self.topic}[{self.partition}]@{self.offset} {self.type} {self.body.get('id', '')}"


def in_write_order(facts: Iterable[Fact]) -> list[Fact]:
    """Return facts of one topic in the order in which they were written, those of one partition as they stand there.

    Facts of a merged customer move to the partition of the account that remains.
    """
    partitions: defaultdict[int, list[tuple[float, Fact]]] = defaultdict(list)
    for fact in facts:
        before = partitions[fact.partition]
        before.append((max(fact.written_at, before[-1][0] if before else 0), fact))
    merged = merge(*partitions.values(), key=lambda timed: timed[0])
    return [fact for _, fact in merged]


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


@dataclass
class DatabaseEvidence:
    """The rows read from one service's database by table, and in `personal` the rows with personal words by table."""

    tables: dict[str, list[Row]] = field(default_factory=dict)
    personal: dict[str, int] = field(default_factory=dict)

    def rows(self, table: str) -> list[Row]:
        return self.tables.get(table, [])


@dataclass
class History:
    """The evidence of all checks. `now` is the time of the shop; `ledger` holds the storefront's reports and answers.

    `roots`, where spans were collected: by trace id, the traces that its first span links to. `rests`: times by the
    clock of records, in seconds, at which every service had read all that was published.
    """

    facts: Sequence[Fact]
    zone: ZoneInfo
    now: datetime
    databases: Mapping[str, DatabaseEvidence] = field(default_factory=dict)
    ledger: Sequence[Row] = ()
    mails: Sequence[Row] | None = None
    logs: Mapping[str, str] = field(default_factory=dict)
    roots: Mapping[str, Set[str]] | None = None
    rests: Sequence[float] = ()

    @cached_property
    def unique_facts(self) -> list[Fact]:
        """Every event at its first occurrence: repeats with the same source and id are allowed on the wire."""
        seen: set[tuple[str, ...]] = set()
        kept = []
        for fact in self.facts:
            name = (fact.topic, *fact.identity)
            if name not in seen:
                seen.add(name)
                kept.append(fact)
        return kept

    @cached_property
    def _by_type(self) -> dict[str, list[Fact]]:
        return _grouped(self.unique_facts, lambda fact: fact.type)

    @cached_property
    def _by_issue(self) -> dict[str, list[Fact]]:
        return _grouped((fact for fact in self.unique_facts if fact.issue), lambda fact: fact.issue)

    def of(self, *types: str) -> list[Fact]:
        """Events of these types, each once, in the order of their partition."""
        return [fact for each in types for fact in self._by_type.get(each, ())]

    def issues(self) -> Iterator[tuple[str, list[Fact]]]:
        yield from self._by_issue.items()

    def about(self, issue: str, *types: str) -> list[Fact]:
        return [fact for fact in self._by_issue.get(issue, ()) if not types or fact.type in types]

    def database(self, service: str) -> DatabaseEvidence:
        return self.databases.get(service, DatabaseEvidence())


def _grouped(facts: Iterable[Fact], name: Any) -> dict[str, list[Fact]]:
    groups: defaultdict[str, list[Fact]] = defaultdict(list)
    for fact in facts:
        groups[name(fact)].append(fact)
    return dict(groups)
