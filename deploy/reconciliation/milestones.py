"""Milestones of a case beside the events of its archive: which of them never arrived, and when they happened."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from deploy.reconciliation.snapshot import ArchivedEvent
from libs.common.events.envelope import Payload
from libs.common.events.issues import (
    IssueRefunded,
    IssueReplacementDelayed,
    IssueReplacementPartShipped,
    IssueReplacementPromised,
    IssueReplacementShipped,
)
from services.returns.domain.published_facts import PublishedFact, published_facts
from services.returns.domain.state.case import Case

_SAME_AS: dict[type[Payload], type[Payload]] = {
    IssueReplacementDelayed: IssueReplacementPromised,
    IssueReplacementPartShipped: IssueReplacementShipped,
}
_BUSINESS_KEYS = ("replacement_id", "version", "refund_id", "resolution", "choice_id")


def key_of(payload: Payload) -> tuple[str, ...]:
    """Return type and business ids: two events with the same ones are the same fact.

    A promise has one number, in whichever event it is: `promised` and `delayed` share theirs. A shipment of a part
    stands for that of the whole, because the rest may have been cancelled since.
    """
    name = _SAME_AS.get(type(payload), type(payload)).TYPE
    ids = [str(value) for field in _BUSINESS_KEYS if (value := getattr(payload, field, None)) is not None]
    if isinstance(payload, IssueRefunded):
        ids.append(payload.transaction_id or f"{payload.refunded_at.isoformat()} {payload.amount.amount}")
    return name, *ids


def missing_milestones(case: Case, archived: Sequence[ArchivedEvent]) -> Iterator[tuple[PublishedFact, datetime]]:
    """Yield the milestones that the archive lacks, each with a time behind the ones before it.

    Readers that order by time then see the milestones in the order of the case.
    """
    times = {key_of(each.event.data): each.event.time for each in archived}
    latest = case.accepted_at
    for fact in published_facts(case):
        known_at = times.get(key_of(fact.payload))
        if known_at is None:
            latest = max(fact.at, latest + timedelta(microseconds=1))
            yield fact, latest
        else:
            latest = max(latest, known_at)
