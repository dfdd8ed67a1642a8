"""Checks a run from outside after its end: the auditor's checks, and further ones on delivery and dead letters."""

import hashlib
import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

import asyncpg

from deploy.verification.auditor import audit, read_history
from deploy.verification.evidence import DatabaseEvidence, Fact, History
from deploy.verification.verdict import Check, Verdict, Violation, run_check, violation
from libs.common.messaging.dead_letters import DeadLetterReason
from libs.common.messaging.rejections import is_kept_elsewhere
from tests.faults.evidence_store import stored_photos
from tests.faults.expectations import buyers_warned, found_parcels_count, wishes_have_outcomes
from tests.faults.partner_directory import WEBHOOKS
from tests.faults.poison import POISON_HEADER
from tests.faults.subscriptions import SubscribedType
from tests.faults.system import FaultSystem
from tests.faults.webhook_checks import taken_events_published, webhooks_delivered
from tests.faults.webhook_receiver import Identity, received
from tests.faults.workload import FAULTY_LOT

RecordPosition = tuple[str, int, int]


@dataclass(frozen=True)
class FaultEvidence:
    """The history without its poison, the poison, and the inbox keys of each service."""

    history: History
    poison: Sequence[Fact]
    inbox_keys: Mapping[str, frozenset[bytes]]
    subscribed: Sequence[SubscribedType]
    prefix: str = ""
    fault_free: bool = False
    accepted_mails: Mapping[str, int] = field(default_factory=dict)
    group_ids: Mapping[str, str] = field(default_factory=dict)
    """Of notices that were sent in one mail with others: the id of that mail."""
    webhooks: Mapping[str, Sequence[Identity]] = field(default_factory=dict)
    """Accepted webhooks by partner, in the order of their arrival; of a partner without an entry none is expected."""
    taken: Collection[Identity] = ()
    """Events that partners sent over HTTP and that were answered 202."""
    photos: Collection[str] = ()
    """SHA-256 of photos whose upload was answered 201."""
    stored_photos: Mapping[str, str] = field(default_factory=dict)
    warned_clusters: Collection[str] = ()
    """Clusters whose buyers staff decided to warn."""


async def read_evidence(
    system: FaultSystem,
    zone: ZoneInfo,
    ledger: Sequence[Mapping[str, Any]],
    subscribed: Sequence[SubscribedType],
    *,
    fault_free: bool = False,
    taken: Collection[Identity] = (),
    photos: Collection[str] = (),
    webhooks: bool = True,
    warned_clusters: Collection[str] = (),
    rests: Sequence[float] = (),
) -> FaultEvidence:
    """Read all topics and databases. Without `webhooks` no partner is subscribed to any.

    `rests` are the times at which nothing was left to read.
    """
    whole = await read_history(system.servers, system.prefix, system.databases, zone, system.clock.now())
    whole.ledger, whole.roots, whole.rests = ledger, system.roots, rests
    poison = [fact for fact in whole.facts if POISON_HEADER in fact.headers]
    history = replace(whole, facts=[fact for fact in whole.facts if POISON_HEADER not in fact.headers])
    history.databases = _without_poison(whole.databases, poison, system.prefix)
    inbox_keys = {service: await _read_inbox_keys(url) for service, url in system.databases.items()}
    logs = system.supervisor.logs
    history.logs = {
        file.name: file.read_text("utf-8", "replace") for file in logs.glob("*.log") if _is_service_log(file.name)
    }
    mails = system.infrastructure.mail.accepted
    groups = await _read_group_ids(system.databases["delivery_notify"])
    hooks = received(system.infrastructure.webhooks, system.name)
    arrived = {partner: hooks.get(partner, ()) for partner in WEBHOOKS} if webhooks else {}
    stored = stored_photos(system.infrastructure.evidence, system.name)
    return FaultEvidence(
        history,
        poison,
        inbox_keys,
        subscribed,
        system.prefix,
        fault_free,
        mails,
        groups,
        arrived,
        taken,
        photos,
        stored,
        warned_clusters,
    )


def _is_service_log(name: str) -> bool:
    return not name.startswith(("kafka", "postgres"))


def _without_poison(
    databases: Mapping[str, DatabaseEvidence], poison: Sequence[Fact], prefix: str
) -> dict[str, DatabaseEvidence]:
    poison_positions = {(prefix + fact.topic, fact.partition, fact.offset) for fact in poison}
    cleaned = {}
    for service, database in databases.items():
        rows = database.rows("dead_letters")
        kept = [row for row in rows if _position(row) not in poison_positions]
        poisoned = [row for row in rows if _position(row) in poison_positions]
        cleaned[service] = replace(
            database, tables={**database.tables, "dead_letters": kept, "dead-lettered poison": poisoned}
        )
    return cleaned


def _position(row: Mapping[str, Any]) -> RecordPosition:
    return row["topic"], row["partition"], row["offset"]


async def _read_group_ids(url: str) -> dict[str, str]:
    conn = await asyncpg.connect(url)
    try:
        rows = await conn.fetch("SELECT notice_id, batch_id FROM notices WHERE batch_id IS NOT NULL")
    finally:
        await conn.close()
    return {str(row["notice_id"]): str(row["batch_id"]) for row in rows}


async def _read_inbox_keys(url: str) -> frozenset[bytes]:
    conn = await asyncpg.connect(url)
    try:
        return frozenset(row["event_key"] for row in await conn.fetch("SELECT event_key FROM inbox"))
    finally:
        await conn.close()


def verdicts(evidence: FaultEvidence) -> list[Verdict]:
    """Of the invariants, and of the delivery."""
    return [
        *audit(evidence.history),
        *(run_check(name, check, evidence.history) for name, check in _delivery_checks(evidence)),
    ]


def _delivery_checks(evidence: FaultEvidence) -> list[tuple[str, Check]]:
    return [
        ("consumed_once", lambda _: _consumed_once(evidence)),
        *([("no_duplicates", lambda _: _no_duplicates(evidence))] if evidence.fault_free else []),
        ("mails_arrived", lambda _: _mails_arrived(evidence)),
        ("webhooks_delivered", lambda history: webhooks_delivered(history, WEBHOOKS, evidence.webhooks)),
        ("taken_events_published", lambda history: taken_events_published(history, evidence.taken)),
        ("wishes_have_outcomes", wishes_have_outcomes),
        ("found_parcels_count", found_parcels_count),
        ("buyers_warned", lambda history: buyers_warned(history, FAULTY_LOT, evidence.warned_clusters)),
        ("photos_kept", lambda _: _photos_kept(evidence)),
        ("poison_dead_lettered_once", lambda _: _poison_dead_lettered_once(evidence)),
    ]


def _consumed_once(evidence: FaultEvidence) -> Iterator[Violation]:
    """Every event is in the inbox of every subscribed service; a missing one was lost."""
    by_type: defaultdict[str, list[SubscribedType]] = defaultdict(list)
    for subscribed in evidence.subscribed:
        by_type[subscribed.type].append(subscribed)
    for fact in evidence.history.unique_facts:
        for subscribed in by_type.get(str(fact.body.get("type")), ()):
            if _inbox_key(subscribed.aggregate, fact) not in evidence.inbox_keys[subscribed.service]:
                yield violation(f"{subscribed.service}: did not consume {fact.type}", fact)


_UUID_7 = re.compile(r"([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def _inbox_key(aggregate: str, fact: Fact) -> bytes:
    """The inbox key of an event, computed independently: the time of a UUID of version 7 is its fifth to tenth byte."""
    source, event_id = fact.identity
    author = f"{aggregate}\x1f{fact.topic}\x1f{source}"
    whole = hashlib.blake2b(f"{author}\x1f{event_id}".encode(), digest_size=16).digest()
    if timed := _UUID_7.fullmatch(event_id):
        return hashlib.blake2b(author.encode(), digest_size=4).digest() + bytes.fromhex(timed[1] + timed[2]) + whole[:6]
    return whole


def _no_duplicates(evidence: FaultEvidence) -> Iterator[Violation]:
    """Without faults no service publishes an event twice: repeats are for interrupted publishes."""
    seen: dict[tuple[str, str], Fact] = {}
    for fact in evidence.history.facts:
        other = seen.setdefault(fact.identity, fact)
        if other is not fact and not fact.identity[0].startswith("/faults/"):
            yield violation(f"{fact.type} was published twice without a fault", other, fact)


def _mails_arrived(evidence: FaultEvidence) -> Iterator[Violation]:
    """The mail server has accepted each mail that is published as sent; by its Message-ID it may have it twice."""
    arrived = {message_id.strip("<>").partition("@")[0] for message_id in evidence.accepted_mails}
    for sent in evidence.history.of("notice.sent"):
        notice_id = sent.data["notice_id"]
        if sent.data["channel"] == "email" and evidence.group_ids.get(notice_id, notice_id) not in arrived:
            yield violation(f"notice {notice_id}: sent, and no mail server accepted it", sent)


def _photos_kept(evidence: FaultEvidence) -> Iterator[Violation]:
    """Each photo whose upload was answered 201 is in the evidence store, with the content that its name states."""
    for sha256 in sorted(evidence.photos):
        if (found := evidence.stored_photos.get(sha256)) != sha256:
            yield Violation(f"photo {sha256}: taken, and " + ("damaged" if found else "not in the evidence store"))


def _poison_dead_lettered_once(evidence: FaultEvidence) -> Iterator[Violation]:
    """The service that keeps refused records of a topic has a poison record in its dead letters, once."""
    readers: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)
    for subscribed in evidence.subscribed:
        readers[subscribed.topic].add((subscribed.service, subscribed.aggregate))
    counts: defaultdict[tuple[str, str, RecordPosition], int] = defaultdict(int)
    for service, database in evidence.history.databases.items():
        for row in database.rows("dead-lettered poison"):
            counts[service, row["aggregate"], _position(row)] += 1
    for fact in evidence.poison:
        position = (evidence.prefix + fact.topic, fact.partition, fact.offset)
        for service, aggregate in sorted(readers[fact.topic]):
            expected = 0 if is_kept_elsewhere(service, fact.topic, DeadLetterReason.UNDECODABLE) else 1
            if (count := counts[service, aggregate, position]) != expected:
                kind = fact.headers[POISON_HEADER]
                yield violation(f"{service}: poison ({kind}) was dead-lettered {count} times", fact)
