"""The points ledger of one customer: after an issue is resolved points are granted, unasked, exactly once.

What it takes and gives:

- `issue.resolved`   -> a pending grant by rule, `points.granted`, and a timer that makes it final after the hold;
- the timer          -> `points.finalised`: the points may be spent;
- `issue.reopened`   -> the grant of that resolution is reversed by a compensating entry, `points.reversed`;
- `issue.cancelled`  -> every grant of the issue still standing is reversed likewise.

The ledger is the state: an `Account` is the customer's balances and what the ledger already says about the issues in
hand, never the history. So it stays small however long a customer stays, and there is no second truth beside the
entries. The outcome does not depend on the order in which events come: what is taken back before it was granted
is remembered as withheld, and then never granted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from libs.common.decision import Anomaly, CancelTimer, Fact, Facts, Ignored, Record, SetTimer, TimerFired
from libs.common.events.issues import IssueCancelled, IssueReopened, IssueResolved
from libs.common.events.loyalty import PointsFinalised, PointsGranted, PointsReversed
from libs.common.events.registry import AnyEvent
from libs.common.ids import derived_id
from services.loyalty.rules import AwardRules

FINALISE = "finalise:"
"""Timers are named by this and the cause of the grant that they make final."""


class Kind(StrEnum):
    GRANT = "grant"
    FINALISE = "finalise"
    REVERSE = "reverse"


@dataclass(frozen=True, slots=True)
class Entry(Record):
    """One movement of points: signed changes of the two columns, and where they stand after it."""

    entry_id: UUID
    customer_id: str
    number: int
    kind: Kind
    cause: str
    issue_id: UUID
    pending: int
    final: int
    pending_after: int
    final_after: int
    rule: str | None
    rule_version: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Withhold(Record):
    """Nothing is granted any more for this cause (one resolution, or a whole issue)."""

    cause: str
    customer_id: str
    issue_id: UUID
    at: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """What the ledger says about one cause."""

    points: int
    final: bool = False
    reversed: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """Where a customer's ledger stands after entry `number`, and what it says of the causes in hand."""

    customer_id: str
    number: int = 0
    pending: int = 0
    final: int = 0
    grants: Mapping[str, Grant] = field(default_factory=dict)
    withheld: frozenset[str] = frozenset()


Outcome: TypeAlias = tuple[Account, Facts]


def cause_of(issue_id: UUID, resolution: int | None = None) -> str:
    """The key under which points are given at most once; without a resolution it stands for the whole issue."""
    return f"issue:{issue_id}" if resolution is None else f"issue:{issue_id}:{resolution}"


def issue_of(cause: str) -> UUID:
    return UUID(cause.split(":")[1])


def decide(rules: AwardRules, account: Account, event: AnyEvent, now: datetime) -> Outcome:
    """What becomes of an account: total over all events, in any order and however often they come."""
    match event.data:
        case IssueResolved() as resolved:
            return _resolved(rules, account, resolved, now)
        case IssueReopened() as reopened:
            cause = cause_of(reopened.issue_id, reopened.resolution)
            return _take_back(account, reopened.issue_id, cause, (cause,), now)
        case IssueCancelled() as cancelled:
            whole = cause_of(cancelled.issue_id)
            granted = tuple(sorted(cause for cause in account.grants if cause.startswith(f"{whole}:")))
            return _take_back(account, cancelled.issue_id, whole, granted, now)
        case TimerFired() as timer:
            return _finalise(account, timer.name.removeprefix(FINALISE), now)
        case _:
            return account, (Ignored("not_for_loyalty"),)


def _resolved(rules: AwardRules, account: Account, resolved: IssueResolved, now: datetime) -> Outcome:
    cause = cause_of(resolved.issue_id, resolved.resolution)
    if cause in account.grants:
        return account, (Ignored("already_granted"),)
    if {cause, cause_of(resolved.issue_id)} & account.withheld:
        return account, (Ignored("taken_back_before_granted"),)
    award = rules.award(resolved)
    if not award.points:
        return account, (Ignored("rule_gives_nothing"),)
    account, entry = _book(account, Kind.GRANT, cause, now, pending=award.points, rule=(award.rule, award.version))
    granted = PointsGranted(
        customer_id=account.customer_id,
        entry_id=entry.entry_id,
        points=award.points,
        cause=cause,
        issue_id=resolved.issue_id,
        order_id=resolved.order_id,
        rule=award.rule,
        rule_version=award.version,
        granted_at=now,
    )
    due = SetTimer(FINALISE + cause, now + timedelta(days=rules.hold_days))
    return _know(account, cause, Grant(award.points)), (entry, granted, due)


def _finalise(account: Account, cause: str, now: datetime) -> Outcome:
    grant = account.grants.get(cause)
    if grant is None:
        return account, (Anomaly("finalise_without_grant", cause),)
    if grant.final or grant.reversed:
        return account, (Ignored("already_reversed" if grant.reversed else "already_final"),)
    account, entry = _book(account, Kind.FINALISE, cause, now, pending=-grant.points, final=grant.points)
    finalised = PointsFinalised(
        customer_id=account.customer_id,
        entry_id=entry.entry_id,
        points=grant.points,
        cause=cause,
        issue_id=entry.issue_id,
        finalised_at=now,
    )
    return _know(account, cause, replace(grant, final=True)), (entry, finalised)


def _take_back(account: Account, issue_id: UUID, whole: str, causes: tuple[str, ...], now: datetime) -> Outcome:
    """Reverse what was granted for `causes`, and see to it that nothing is granted for `whole` any more."""
    facts: list[Fact] = []
    for cause in causes:
        account, reversal = _reverse(account, cause, now)
        facts += reversal
    if whole not in account.grants and whole not in account.withheld:
        account = replace(account, withheld=account.withheld | {whole})
        facts.append(Withhold(whole, account.customer_id, issue_id, now))
    return account, facts or (Ignored("already_reversed"),)


def _reverse(account: Account, cause: str, now: datetime) -> Outcome:
    grant = account.grants.get(cause)
    if grant is None or grant.reversed:
        return account, ()
    pending, final = (0, -grant.points) if grant.final else (-grant.points, 0)
    account, entry = _book(account, Kind.REVERSE, cause, now, pending=pending, final=final)
    reversed_ = PointsReversed(
        customer_id=account.customer_id,
        entry_id=entry.entry_id,
        points=grant.points,
        cause=cause,
        issue_id=entry.issue_id,
        reverses=derived_id("entry", Kind.GRANT, cause),
        reversed_at=now,
    )
    timer = () if grant.final else (CancelTimer(FINALISE + cause),)
    return _know(account, cause, replace(grant, reversed=True)), (entry, reversed_, *timer)


def _book(
    account: Account,
    kind: Kind,
    cause: str,
    now: datetime,
    *,
    pending: int = 0,
    final: int = 0,
    rule: tuple[str, str] | tuple[None, None] = (None, None),
) -> tuple[Account, Entry]:
    """The next entry of the ledger, and the account after it."""
    after = replace(account, number=account.number + 1, pending=account.pending + pending, final=account.final + final)
    entry = Entry(
        entry_id=derived_id("entry", kind, cause),
        customer_id=account.customer_id,
        number=after.number,
        kind=kind,
        cause=cause,
        issue_id=issue_of(cause),
        pending=pending,
        final=final,
        pending_after=after.pending,
        final_after=after.final,
        rule=rule[0],
        rule_version=rule[1],
        at=now,
    )
    return after, entry


def _know(account: Account, cause: str, grant: Grant) -> Account:
    return replace(account, grants={**account.grants, cause: grant})
