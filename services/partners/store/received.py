"""Events that partners sent over HTTP: each is published once, through the outbox, to the topic of its type.

The ids are kept in the inbox, so that a repeated event changes nothing and another event under a used id is refused.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.events.faults import Fault
from libs.common.events.partner_rights import PartnerRole
from libs.common.events.registry import AnyEvent, encode
from libs.common.messaging import inbox, outbox
from libs.common.postgres.batch import columns
from libs.common.postgres.pool import Connection
from libs.common.runtime.service import ServiceTransaction
from libs.common.telemetry.trace_context import Carrier
from services.partners.domain.admission import (
    PLACED_ORDER,
    Given,
    Owners,
    claimed_ids,
    faults_of_event,
    kafka_key,
    looked_up_ids,
)
from services.partners.policy.partner_terms import PartnerTerms
from services.partners.store.feed import give

CONSUMER = "received"

_OWNERS = """
    SELECT g.role, g.kind, g.id, g.partner, g.key FROM given g
    JOIN unnest($2::text[], $3::text[]) AS w (kind, id) USING (kind, id) WHERE g.role = $1"""


@dataclass(frozen=True, slots=True)
class SubmittedEvent:
    """One event of a call: its place, the event and its trace context."""

    index: int
    event: AnyEvent
    trace: Carrier | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Outcome of one event: `accepted`, `duplicate`, or `refused` with all faults."""

    index: int
    status: str
    faults: tuple[Fault, ...] = ()


async def receive(
    tx: ServiceTransaction, partner: str, terms: PartnerTerms, submitted: Sequence[SubmittedEvent]
) -> list[Receipt]:
    """Publish the new events among these in their order; return an outcome for each."""
    events = [each.event for each in submitted]
    owners = await _read_owners(tx.conn, terms.role, events)
    claims = [
        each
        for event in events
        if not faults_of_event(event, partner, terms, owners)
        for each in _claims(event, partner, terms.role)
        if each[1] == PLACED_ORDER
    ]
    if claims:  # before the checks: of two storefronts at a time, the second waits here and then sees the first
        await give(tx.conn, claims, tx.now)
        owners = await _read_owners(tx.conn, terms.role, events)
    receipts: list[Receipt] = []
    checked: list[tuple[SubmittedEvent, inbox.Mark]] = []
    for each in submitted:
        if faults := faults_of_event(each.event, partner, terms, owners):
            receipts.append(Receipt(each.index, "refused", tuple(faults)))
        else:
            checked.append((each, inbox.mark_of(CONSUMER, each.event)))
    arrivals = [inbox.Arrival(mark, (CONSUMER, each.event.data.TOPIC.name, "")) for each, mark in checked]
    admission = await inbox.admit(tx.conn, arrivals)
    fresh, known = set(admission.fresh), dict(admission.known)
    accepted: list[SubmittedEvent] = []
    for each, mark in checked:
        if mark.key in fresh:
            fresh.discard(mark.key)
            known[mark.key] = mark.content
            accepted.append(each)
            receipts.append(Receipt(each.index, "accepted"))
        elif known.get(mark.key, mark.content) == mark.content:
            receipts.append(Receipt(each.index, "duplicate"))
        else:
            fault = ("id", "was used before for another payload; send a new id")
            receipts.append(Receipt(each.index, "refused", (fault,)))
    prefix = tx.decisions.topic_prefix
    await outbox.write(tx.conn, [_row(each, partner, terms.role, owners, prefix) for each in accepted])
    await give(tx.conn, [row for each in accepted for row in _claims(each.event, partner, terms.role)], tx.now)
    return sorted(receipts, key=lambda receipt: receipt.index)


def _claims(event: AnyEvent, partner: str, role: PartnerRole) -> list[tuple[str, str, str, str, str]]:
    return [(str(role), kind, value, partner, event.data.key) for kind, value in claimed_ids(event).items()]


def _row(each: SubmittedEvent, partner: str, role: PartnerRole, owners: Owners, prefix: str) -> outbox.OutboxRow:
    topic = each.event.data.TOPIC
    key = kafka_key(each.event, partner, role, owners)
    return outbox.OutboxRow(
        prefix + topic.name, key, encode(each.event), each.trace, type=each.event.type, personal=topic.personal
    )


async def _read_owners(conn: Connection, role: PartnerRole, events: Sequence[AnyEvent]) -> Owners:
    """Return the partners of this role that were given the ids of these events."""
    wanted = sorted({item for event in events for item in looked_up_ids(event, role)})
    if not wanted:
        return {}
    found: dict[tuple[PartnerRole, str, str], tuple[Given, ...]] = {}
    for row in await conn.fetch(_OWNERS, role, *columns(wanted)):
        place = (role, row["kind"], row["id"])
        found[place] = (*found.get(place, ()), Given(row["partner"], row["key"]))
    return found
