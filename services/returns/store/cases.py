"""Case store: loads, decides and saves cases with their customer contexts, in batches.

A case that this process wrote last is locked, and recognized by its row version (`RowCache`) instead of parsed again.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import field
from datetime import datetime

from libs.common.decisions.facts import Fact, Facts, Record, TimerFired
from libs.common.decisions.fast_dataclass import dataclass
from libs.common.decisions.fast_replace import replace
from libs.common.events.anomalies import CountStaffDecided
from libs.common.events.issues import IssueAccepted, IssueStaffDecided
from libs.common.events.registry import AnyEvent
from libs.common.events.warehouse import (
    CountingEvent,
    ItemInspected,
    ItemReceived,
    ReplacementConfirmed,
    ReplacementDelayed,
)
from libs.common.postgres.pool import ConflictError, Connection
from libs.common.postgres.state_table import RowCache, VersionedRow
from libs.common.telemetry.log_context import current_trace
from services.returns.domain import decide as domain
from services.returns.domain.commands import AssignCount, ReopenCase, SettleCount
from services.returns.domain.context import CaseRules, CaseState
from services.returns.domain.ledger_decisions import OrderEventArrived, order_of
from services.returns.domain.state.case import Case
from services.returns.domain.state.case_status import CLOSED_STATUSES, case_status
from services.returns.domain.state.count_ids import former_kept_id, kept_id
from services.returns.domain.state.early_events import EventKept, early_event_of_timer
from services.returns.domain.state.exposure import UNKNOWN_CUSTOMER, has_follow_up_issue
from services.returns.domain.state.kept_counts import CountKept, CountMatched, CountSettled, count_of_timer
from services.returns.domain.state.parcel_numbers import ParcelNumbered, numbers_of, stated_number
from services.returns.store import early_events, parcel_numbers
from services.returns.store.case_queries import list_cases_of_orders
from services.returns.store.customer_contexts import CaseOwner, ExposureRow, load_contexts
from services.returns.store.documents import CASE_DOCUMENT, EXPOSURE_DOCUMENT
from services.returns.store.kept_counts import KeptCounts, OpenedCase
from services.returns.store.order_ledgers import OrderLedgers
from services.returns.store.order_snapshots import address_hashes

MAX_CACHED_CASES = 4096
"""Open cases in the row cache; closed ones are dropped."""

NO_EXPOSURE_CHANGE = frozenset((ReplacementConfirmed, ReplacementDelayed))
"""Events that change no exposure and no visit, so that the exposure row is not locked for them."""

_KEPT = frozenset((CountKept, CountMatched, CountSettled, EventKept))

_LOCK_CASES = """
    SELECT c.key, c.version,
           CASE WHEN c.version = known.version AND c.xmin = known.written_by THEN NULL ELSE c.body END AS body
    FROM unnest($1::text[], $2::bigint[], $3::xid[]) AS known (key, version, written_by) JOIN cases c USING (key)
    ORDER BY c.key FOR UPDATE OF c"""
# Not `StateTable.save`, because the list columns are derived in code and written in the same statement.
_SAVE = """
    WITH exposures AS (
        INSERT INTO customers AS old (key, version, body)
        SELECT * FROM unnest($6::text[], $7::bigint[], $8::jsonb[])
        ON CONFLICT (key) DO UPDATE SET version = excluded.version, body = excluded.body
        WHERE old.version = excluded.version - 1
        RETURNING 1),
    written AS (
        INSERT INTO cases AS old (key, version, body, status, in_review, order_id, customer_id, is_open)
        SELECT *, status <> ALL($11)
        FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::boolean[], $9::text[], $10::text[])
            AS new (key, version, body, status, in_review, order_id, customer_id)
        ON CONFLICT (key) DO UPDATE
        SET version = excluded.version, body = excluded.body, status = excluded.status,
            in_review = excluded.in_review, is_open = excluded.is_open
        WHERE old.version = excluded.version - 1
        RETURNING 1)
    SELECT (SELECT count(*) FROM written) + (SELECT count(*) FROM exposures) AS count,
           pg_current_xact_id()::xid AS xid"""


@dataclass(frozen=True, slots=True)
class LoadedCase:
    """State of an issue with its row version, and the exposure row where this batch may change it.

    `trace` is the trace context of the event that opened the case in this batch.
    """

    version: int
    state: CaseState
    exposure: ExposureRow | None = None
    trace: str | None = None
    owners: dict[str, dict[str, str]] = field(default_factory=dict)
    """Owners of tracking numbers, shared by this batch: an earlier event of it may have stated one."""


_NO_CASE = LoadedCase(0, CaseState(None, UNKNOWN_CUSTOMER))


@dataclass(slots=True)
class Cases:
    """Aggregate of cases by issue id. `rules` is replaced when the policy changes."""

    rules: CaseRules
    address_keys: tuple[bytes, ...] = ()
    name: str = "cases"
    is_read_model = False
    ledgers: OrderLedgers = field(default_factory=OrderLedgers)
    counts: KeptCounts = field(default_factory=KeptCounts)
    row_cache: RowCache[Case] = field(default_factory=lambda: RowCache(MAX_CACHED_CASES))

    def key_of(self, event: AnyEvent) -> str | None:
        if order_id := order_of(event):
            return f"order {order_id}"  # no case: an event for the ledger of the order
        if type(event.data) is SettleCount or (type(event.data) is CountStaffDecided and not event.data.issue_id):
            return f"count {event.data.count_id}"
        issue_id = getattr(event.data, "issue_id", None)
        if issue_id is None and isinstance(event.data, CountingEvent):
            return f"count {event.source} {event.id}"  # a box without papers
        return str(issue_id) if issue_id else None

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, LoadedCase]:
        versions = await self._lock_cases(conn, keys)
        cases = {key: case for key, (_, case) in versions.items()}
        known = {key: CaseOwner(case.order_id, case.customer_id) for key, case in cases.items()}
        new = {
            str(event.data.issue_id): CaseOwner(event.data.order_id, event.data.customer_id)
            for event in events
            if type(event.data) is IssueAccepted and str(event.data.issue_id) not in known
        }
        changing = {self._key_of_exposure_change(event) for event in events}
        contexts = await load_contexts(conn, {**known, **new}, new, changing)
        reported_again = await self._find_follow_ups(conn, cases, events)
        without_case = [event for event in events if self.key_of(event) not in cases]
        counts = {_kept_count_of(event) for event in events} | {id_ for each in without_case for id_ in _kept_ids(each)}
        kept = await self.counts.load(conn, [count for count in counts if count])
        early = await early_events.load_events(conn, [wanted for event in events if (wanted := _early_event_of(event))])
        stated = {number for event in (*events, *early.values()) if (number := stated_number(event.data))}
        owners = await parcel_numbers.load_owners(conn, stated)

        def loaded(key: str) -> LoadedCase:
            version, case = versions.get(key) or (0, None)
            context, exposure = contexts.get(key, (UNKNOWN_CUSTOMER, None))
            if len(self.address_keys) > 1:
                former = address_hashes(self.address_keys, context.ship_to)
                context = replace(context, former_address_hashes=former)
            if kept:
                context = replace(context, kept_counts=kept)
            if early:
                context = replace(context, early_events=early)
            if owners:
                context = replace(context, parcel_owners=owners)
            if key in reported_again:
                context = replace(context, has_follow_up_issue=True)
            return LoadedCase(version, CaseState(case, context), exposure, owners=owners)

        return {key: loaded(key) for key in keys}

    async def _lock_cases(self, conn: Connection, keys: Sequence[str]) -> dict[str, tuple[int, Case]]:
        """Lock the existing cases in key order, and return them with their versions."""
        cached = {key: self.row_cache.rows.get(key) for key in keys}
        rows = await conn.fetch(_LOCK_CASES, keys, *self.row_cache.marks(keys))

        def case(key: str, body: str | None) -> Case:
            row = cached[key]
            return row.state if row and body is None else CASE_DOCUMENT.validate_json(body or "")

        return {key: (version, case(key, body)) for key, version, body in rows}

    async def _find_follow_ups(
        self, conn: Connection, cases: Mapping[str, Case], events: Sequence[AnyEvent]
    ) -> Collection[str]:
        """Return the cases to be reopened whose replacement a later case of the order may be about.

        Only for decisions made here: intake checks its own, by unit, before it passes them on.
        """
        keys = {self.key_of(event) for event in events if type(event.data) is ReopenCase or _is_decided_here(event)}
        if not keys:
            return ()
        reopening = {key: case for key, case in cases.items() if key in keys}
        others = await list_cases_of_orders(conn, [case.order_id for case in reopening.values()])
        return [key for key, case in reopening.items() if has_follow_up_issue(case, others)]

    def _key_of_exposure_change(self, event: AnyEvent) -> str | None:
        """Return the key of the case whose exposure this event may change."""
        if type(event.data) in NO_EXPOSURE_CHANGE:
            return None
        return self.key_of(event) or event.subject

    def decide(self, state: LoadedCase | None, event: AnyEvent, now: datetime) -> tuple[LoadedCase | None, Facts]:
        loaded = state or _NO_CASE
        before, row = loaded.state, loaded.exposure
        # Another case of the customer, earlier in this batch, may have changed the shared row.
        if row and before.customer.exposure is not row.exposure:
            before = CaseState(before.case, replace(before.customer, exposure=row.exposure))
        after, facts = domain.decide(before, event, now, self.rules)
        if not _KEPT.isdisjoint(map(type, facts)):
            facts = [_with_trace(fact) for fact in facts]
        if after.case is before.case:
            return state, facts
        if row and after.case:
            row.record(after.case, before.case is None, before.customer.address_hash)
        if after.case and before.case and after.case.outbound is not before.case.outbound:
            facts = [*facts, *_new_numbers(before.case, after.case, loaded.owners, now)]
        trace = loaded.trace if before.case else current_trace()
        return LoadedCase(loaded.version, after, row, trace, loaded.owners), facts

    async def save(self, conn: Connection, changed: Mapping[str, LoadedCase], records: Sequence[Record]) -> None:
        """Write cases and exposures under the versions they were loaded with. Raises `ConflictError` if one changed."""
        await self.ledgers.record(conn, [record for record in records if isinstance(record, OrderEventArrived)])
        opened = {
            key: OpenedCase(each.state.case.accepted_at, each.state.case.order_id, each.trace)
            for key, each in changed.items()
            if each.state.case and not each.version
        }
        if changed:
            await self._save_cases(conn, changed)
        await self.counts.save(conn, records, opened)
        await parcel_numbers.save_numbers(conn, records)
        await early_events.save_events(conn, records, {key: case.trace for key, case in opened.items()})

    async def _save_cases(self, conn: Connection, changed: Mapping[str, LoadedCase]) -> None:
        rows = [(key, each.version + 1, each.state.case) for key, each in sorted(changed.items()) if each.state.case]
        by_customer = {each.exposure.key: each.exposure for each in changed.values() if each.exposure}
        exposures = [by_customer[key] for key in sorted(by_customer) if by_customer[key].is_changed]
        result = await conn.fetchrow(
            _SAVE,
            [key for key, _, _ in rows],
            [version for _, version, _ in rows],
            [CASE_DOCUMENT.dump_json(case, exclude_defaults=True).decode() for _, _, case in rows],
            [case_status(case).value for _, _, case in rows],
            [bool(case.reviews) for _, _, case in rows],
            [row.key for row in exposures],
            [row.version + 1 for row in exposures],
            [EXPOSURE_DOCUMENT.dump_json(row.exposure, exclude_defaults=True).decode() for row in exposures],
            [case.order_id for _, _, case in rows],
            [case.customer_id for _, _, case in rows],
            CLOSED_STATUSES,
        )
        if result is None or result["count"] != len(rows) + len(exposures):
            raise ConflictError("cases: a case or a customer was written by another transaction at the same time")
        for key, version, case in rows:
            if case.is_closed:
                self.row_cache.drop(key)
            else:
                self.row_cache.keep(key, VersionedRow(version, result["xid"], case))


def _new_numbers(before: Case, after: Case, owners: dict[str, dict[str, str]], now: datetime) -> list[ParcelNumbered]:
    """Return the tracking numbers that a case has now, and make them known to the other cases of this batch."""
    added = sorted(numbers_of(after) - numbers_of(before))
    for number in added:
        owners.setdefault(number, {})[str(after.issue_id)] = after.customer_id
    return [ParcelNumbered(number, after.issue_id, now) for number in added]


def _with_trace(fact: Fact) -> Fact:
    """Add the trace context of the causing event to what is kept, for the timer that brings it to its case."""
    if isinstance(fact, CountKept | CountMatched | CountSettled | EventKept):
        return replace(fact, trace=current_trace())
    return fact


def _kept_count_of(event: AnyEvent) -> str | None:
    """Return the kept count that an event asks a case to take."""
    if type(event.data) is TimerFired:
        return count_of_timer(event.data.name)
    return event.data.count_id if isinstance(event.data, AssignCount | SettleCount | CountStaffDecided) else None


def _kept_ids(event: AnyEvent) -> tuple[str | None, ...]:
    """Return the ids under which this count is kept, or an earlier release kept it."""
    data = event.data
    return (kept_id(data), former_kept_id(data)) if isinstance(data, ItemReceived | ItemInspected) else ()


def _early_event_of(event: AnyEvent) -> tuple[str, str] | None:
    """Return issue and key of the kept event that a timer asks its case to apply."""
    key = early_event_of_timer(event.data.name) if type(event.data) is TimerFired else None
    return (event.subject, key) if key and event.subject else None


def _is_decided_here(event: AnyEvent) -> bool:
    return type(event.data) is IssueStaffDecided and event.source == "/returns"
