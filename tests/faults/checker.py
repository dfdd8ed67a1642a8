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
from deploy.verification.evidence import DatabaseEvidence, Fact, History
from deploy.verification.verdict import Check, Verdict, Violation, run_check, violation
from tests.faults.poison import POISON_HEADER
from tests.faults.subscriptions import SubscribedType
from tests.faults.system import FaultSystem

RecordPosition = tuple[str, int, int]


@dataclass(frozen=True)
class FaultEvidence:
    """The story without its poison, the poison, and which marks each service has in its inbox."""

    history: History
    poison: Sequence[Fact]
    inbox_keys: Mapping[str, frozenset[bytes]]
    subscribed: Sequence[SubscribedType]
    prefix: str = ""
    fault_free: bool = False


async def read_evidence(
    system: FaultSystem,
    zone: ZoneInfo,
    ledger: Sequence[Mapping[str, Any]],
    taken: Sequence[SubscribedType],
    *,
    fault_free: bool = False,
) -> FaultEvidence:
    """Everything that is there now, read from the topics and the databases."""
    whole = await read_history(system.servers, system.prefix, system.databases, zone, system.clock.now())
    whole.ledger, whole.roots = ledger, system.roots
    poison = [fact for fact in whole.facts if POISON_HEADER in fact.headers]
    history = replace(whole, facts=[fact for fact in whole.facts if POISON_HEADER not in fact.headers])
    history.databases = _without_poison(whole.databases, poison, system.prefix)
    marks = {service: await _read_inbox_keys(url) for service, url in system.databases.items()}
    logs = system.supervisor.logs
    history.logs = {
        file.name: file.read_text("utf-8", "replace") for file in logs.glob("*.log") if _is_service_log(file.name)
    }
    return FaultEvidence(history, poison, marks, taken, system.prefix, fault_free)


def _is_service_log(name: str) -> bool:
    return not name.startswith(("kafka", "postgres"))


def _without_poison(
    databases: Mapping[str, DatabaseEvidence], poison: Sequence[Fact], prefix: str
) -> dict[str, DatabaseEvidence]:
    places = {(prefix + fact.topic, fact.partition, fact.offset) for fact in poison}
    found = {}
    for service, database in databases.items():
        rows = database.rows("dead_letters")
        kept = [row for row in rows if _position(row) not in places]
        poisoned = [row for row in rows if _position(row) in places]
        found[service] = replace(
            database, tables={**database.tables, "dead_letters": kept, "dead-lettered poison": poisoned}
        )
    return found


def _position(row: Mapping[str, Any]) -> RecordPosition:
    return row["topic"], row["partition"], row["offset"]


async def _read_inbox_keys(url: str) -> frozenset[bytes]:
    conn = await asyncpg.connect(url)
    try:
        return frozenset(row["event_key"] for row in await conn.fetch("SELECT event_key FROM inbox"))
    finally:
        await conn.close()


def verdicts(evidence: FaultEvidence) -> list[Verdict]:
    """Of the design's twelve invariants, and of the plumbing."""
    return [
        *audit(evidence.history),
        *(run_check(name, check, evidence.history) for name, check in _delivery_checks(evidence)),
    ]


def _delivery_checks(evidence: FaultEvidence) -> list[tuple[str, Check]]:
    return [
        ("consumed_once", lambda _: _consumed_once(evidence)),
        *([("no_duplicates", lambda _: _no_duplicates(evidence))] if evidence.fault_free else []),
        ("poison_dead_lettered_once", lambda _: _poison_dead_lettered_once(evidence)),
    ]


def _consumed_once(evidence: FaultEvidence) -> Iterator[Violation]:
    """Every event stands in the inbox of every service that takes its type; what does not was lost on the way."""
    by_type: defaultdict[str, list[SubscribedType]] = defaultdict(list)
    for taken in evidence.subscribed:
        by_type[taken.type].append(taken)
    for fact in evidence.history.unique_facts:
        for taken in by_type.get(str(fact.body.get("type")), ()):
            if _inbox_key(taken.aggregate, fact) not in evidence.inbox_keys[taken.service]:
                yield violation(f"{taken.service}: did not consume {fact.type}", fact)


_COUNTED = re.compile(r"(.*)\.(0|[1-9][0-9]{0,13})", re.DOTALL)


def _inbox_key(aggregate: str, fact: Fact) -> bytes:
    """What the inbox keeps of an event, worked out anew: a number at the end of an id is its last six bytes."""
    source, event_id = fact.identity
    counted = _COUNTED.fullmatch(event_id)
    name, tail = (counted[1], int(counted[2]).to_bytes(6, "big")) if counted else (event_id, b"")
    named = hashlib.blake2b(f"{aggregate}\x1f{source}\x1f{name}".encode(), digest_size=16 - len(tail))
    return named.digest() + tail


def _no_duplicates(evidence: FaultEvidence) -> Iterator[Violation]:
    """While nothing goes wrong, nothing of ours stands on a topic twice: repeats are for what was cut short."""
    seen: dict[tuple[str, str], Fact] = {}
    for fact in evidence.history.facts:
        other = seen.setdefault(fact.identity, fact)
        if other is not fact and not fact.identity[0].startswith("/faults/"):
            yield violation(f"{fact.type} was published twice without a fault", other, fact)


def _poison_dead_lettered_once(evidence: FaultEvidence) -> Iterator[Violation]:
    """What no service can take is parked, once, by each service that reads its topic."""
    readers: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for taken in evidence.subscribed:
        readers[taken.topic].add((taken.service, taken.aggregate))
    parked: defaultdict[tuple[str, str, RecordPosition], int] = defaultdict(int)
    for service, database in evidence.history.databases.items():
        for row in database.rows("dead-lettered poison"):
            parked[service, row["aggregate"], _position(row)] += 1
    for fact in evidence.poison:
        place = (evidence.prefix + fact.topic, fact.partition, fact.offset)
        for service, aggregate in sorted(readers[fact.topic]):
            if (count := parked[service, aggregate, place]) != 1:
                kind = fact.headers[POISON_HEADER]
                yield violation(f"{service}: poison ({kind}) was dead-lettered {count} times", fact)
