"""Judges a run from outside, after it: the auditor's twelve checks, and some on what the plumbing left behind."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from deploy.verification.auditor import audit, read_history
from deploy.verification.evidence import Database, Fact, History
from deploy.verification.verdict import Check, Verdict, Violation, judge, violation
from tests.faults.poison import MARK
from tests.faults.subscriptions import Taken
from tests.faults.system import System

Place = tuple[str, int, int]


@dataclass(frozen=True)
class Evidence:
    """The story without its poison, the poison, and which marks each service has in its inbox."""

    history: History
    poison: Sequence[Fact]
    marks: Mapping[str, frozenset[bytes]]
    taken: Sequence[Taken]
    prefix: str = ""
    undisturbed: bool = False


async def read_evidence(
    system: System,
    zone: ZoneInfo,
    ledger: Sequence[Mapping[str, Any]],
    taken: Sequence[Taken],
    *,
    undisturbed: bool = False,
) -> Evidence:
    """Everything that is there now, read from the topics and the databases."""
    whole = await read_history(system.servers, system.prefix, system.databases, zone, system.clock.now())
    whole.ledger, whole.roots = ledger, system.roots
    poison = [fact for fact in whole.facts if MARK in fact.headers]
    history = replace(whole, facts=[fact for fact in whole.facts if MARK not in fact.headers])
    history.databases = _without_poison(whole.databases, poison, system.prefix)
    marks = {service: await _marks(url) for service, url in system.databases.items()}
    logs = system.supervisor.logs
    history.logs = {file.name: file.read_text("utf-8", "replace") for file in logs.glob("*.log") if _ours(file.name)}
    return Evidence(history, poison, marks, taken, system.prefix, undisturbed)


def _ours(name: str) -> bool:
    return not name.startswith(("kafka", "postgres"))


def _without_poison(databases: Mapping[str, Database], poison: Sequence[Fact], prefix: str) -> dict[str, Database]:
    places = {(prefix + fact.topic, fact.partition, fact.offset) for fact in poison}
    found = {}
    for service, database in databases.items():
        rows = database.rows("open")
        kept = [row for row in rows if _place(row) not in places]
        poisoned = [row for row in rows if _place(row) in places]
        found[service] = replace(database, tables={**database.tables, "open": kept, "parked poison": poisoned})
    return found


def _place(row: Mapping[str, Any]) -> Place:
    return row["topic"], row["partition"], row["offset"]


async def _marks(url: str) -> frozenset[bytes]:
    conn = await asyncpg.connect(url)
    try:
        return frozenset(row["event_key"] for row in await conn.fetch("SELECT event_key FROM inbox"))
    finally:
        await conn.close()


def verdicts(evidence: Evidence) -> list[Verdict]:
    """Of the design's twelve invariants, and of the plumbing."""
    return [*audit(evidence.history), *(judge(name, check, evidence.history) for name, check in _plumbing(evidence))]


def _plumbing(evidence: Evidence) -> list[tuple[str, Check]]:
    return [
        ("taken_once", lambda _: _taken_once(evidence)),
        *([("no_repeats", lambda _: _no_repeats(evidence))] if evidence.undisturbed else []),
        ("poison_parked_once", lambda _: _poison_parked_once(evidence)),
    ]


def _taken_once(evidence: Evidence) -> Iterator[Violation]:
    """Every event stands in the inbox of every service that takes its type; what does not was lost on the way."""
    by_type: defaultdict[str, list[Taken]] = defaultdict(list)
    for taken in evidence.taken:
        by_type[taken.type].append(taken)
    for fact in evidence.history.first:
        for taken in by_type.get(str(fact.body.get("type")), ()):
            if _mark(taken.aggregate, fact) not in evidence.marks[taken.service]:
                yield violation(f"{taken.service}: never took {fact.type}", fact)


_COUNTED = re.compile(r"(.*)\.(0|[1-9][0-9]{0,13})", re.DOTALL)


def _mark(aggregate: str, fact: Fact) -> bytes:
    """What the inbox keeps of an event, worked out anew: a number at the end of an id is its last six bytes."""
    source, event_id = fact.identity
    counted = _COUNTED.fullmatch(event_id)
    name, tail = (counted[1], int(counted[2]).to_bytes(6, "big")) if counted else (event_id, b"")
    named = hashlib.blake2b(f"{aggregate}\x1f{source}\x1f{name}".encode(), digest_size=16 - len(tail))
    return named.digest() + tail


def _no_repeats(evidence: Evidence) -> Iterator[Violation]:
    """While nothing goes wrong, nothing of ours stands on a topic twice: repeats are for what was cut short."""
    seen: dict[tuple[str, str], Fact] = {}
    for fact in evidence.history.facts:
        other = seen.setdefault(fact.identity, fact)
        if other is not fact and not fact.identity[0].startswith("/faults/"):
            yield violation(f"{fact.type} was published twice, and nothing had gone wrong", other, fact)


def _poison_parked_once(evidence: Evidence) -> Iterator[Violation]:
    """What no service can take is parked, once, by each service that reads its topic."""
    readers: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for taken in evidence.taken:
        readers[taken.topic].add((taken.service, taken.aggregate))
    parked: defaultdict[tuple[str, str, Place], int] = defaultdict(int)
    for service, database in evidence.history.databases.items():
        for row in database.rows("parked poison"):
            parked[service, row["aggregate"], _place(row)] += 1
    for fact in evidence.poison:
        place = (evidence.prefix + fact.topic, fact.partition, fact.offset)
        for service, aggregate in sorted(readers[fact.topic]):
            if (count := parked[service, aggregate, place]) != 1:
                kind = fact.headers[MARK]
                yield violation(f"{service}: poison ({kind}) was parked {count} times", fact)
