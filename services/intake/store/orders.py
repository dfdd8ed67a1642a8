"""The aggregate of orders and their reports: loading, deciding and saving one batch."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from pydantic import TypeAdapter

from libs.common.decisions.facts import Facts, Record, TimerFired
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import IssueSubmitted, IssueWithdrawn
from libs.common.postgres.pool import Connection
from libs.common.postgres.state_table import StateTable
from services.intake.domain import decide as domain
from services.intake.domain.commands import ProvideDetails, RecordStaffDecision, SubmitReport, WithdrawReport
from services.intake.domain.context import OrderState
from services.intake.domain.issue_acceptance import IssueRecorded, IssueUpdated
from services.intake.domain.order_contacts import ContactStated
from services.intake.domain.orders import Order, StoredReport
from services.intake.domain.provided_details import PhotosAttached
from services.intake.domain.staff_decisions import StaffDecisionRecorded
from services.intake.domain.submissions import issue_id_of
from services.intake.domain.units import Unit
from services.intake.policy.eligibility_rules import IntakeRules
from services.intake.store import entitlements, evidence, issues, order_contacts, staff_decisions
from services.intake.store.insights import metric_ingest


@dataclass
class Orders:
    """The aggregate of orders and their reports; the state key is the order id."""

    rules: IntakeRules
    name: str = "orders"
    is_read_model = False
    _table: StateTable[Order] = field(default_factory=lambda: StateTable("orders", TypeAdapter(Order)))

    def key_of(self, event: AnyEvent) -> str | None:
        return domain.order_id_of(event)

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, OrderState]:
        """Load and lock orders; the rows beside them only where a report is decided, under the lock."""
        known = await self._table.load(conn, keys)
        needed = _needed_rows(events, [order for _, order in known.values()])
        if not needed.orders:
            return {
                key: OrderState(order, version=version, loaded_order=order) for key, (version, order) in known.items()
            }
        rows = await _read_rows(conn, needed, known)
        states = {key: rows.state_of(key, version, order) for key, (version, order) in known.items()}
        return states | {key: rows.state_of(key) for key in needed.orders if key not in known}

    async def load_with_reports(self, conn: Connection, order_id: str, issue_ids: set[UUID]) -> OrderState:
        """Load and lock one order with the rows of these reports, for their restoration."""
        known = await self._table.load(conn, [order_id])
        needed = _NeededRows(orders={order_id}, issues=issue_ids, reports=issue_ids)
        rows = await _read_rows(conn, needed, known)
        return rows.state_of(order_id, *known.get(order_id, ()))

    def decide(self, state: OrderState | None, event: AnyEvent, now: datetime) -> tuple[OrderState | None, Facts]:
        return domain.decide(state, event, now, self.rules)

    async def save(self, conn: Connection, changed: Mapping[str, OrderState], records: Sequence[Record]) -> None:
        """Write records, then the orders that changed. Raises `ConflictError` where another transaction was first."""
        await _save_records(conn, records)
        await metric_ingest.record_deliveries(conn, records)
        await order_contacts.save_contacts(conn, [each for each in records if isinstance(each, ContactStated)])
        orders = {
            key: (state.version, state.order) for key, state in changed.items() if state.order is not state.loaded_order
        }
        await self._table.save(conn, orders)


async def _save_records(conn: Connection, records: Sequence[Record]) -> None:
    recorded = [record for record in records if isinstance(record, IssueRecorded)]
    updated = {record.report.issue_id: record for record in records if isinstance(record, IssueUpdated)}
    if recorded:
        await issues.insert_issues(conn, recorded)
        await evidence.attach_uploads(conn, recorded)
    if updated:
        await issues.update_issues(conn, [updated[issue_id] for issue_id in sorted(updated)])
    await entitlements.save_entitlements(conn, records)
    attached = [record for record in records if isinstance(record, PhotosAttached)]
    if attached:
        await evidence.insert_photos(conn, attached)
    decisions = [record for record in records if isinstance(record, StaffDecisionRecorded)]
    if decisions:
        await staff_decisions.insert_decisions(conn, decisions)
        await entitlements.mark_resent(conn, decisions)


@dataclass
class _NeededRows:
    """Keys of the rows that a batch reads beside the orders themselves."""

    orders: set[str] = field(default_factory=set)
    issues: set[UUID] = field(default_factory=set)
    reports: set[UUID] = field(default_factory=set)
    photos: set[str] = field(default_factory=set)

    def add_submission(self, order_id: str, issue_id: UUID, submission: IssueSubmitted) -> None:
        self.orders.add(order_id)
        self.issues.add(issue_id)
        self.photos.update(submission.photos)


def _needed_rows(events: Sequence[AnyEvent], orders: Iterable[Order]) -> _NeededRows:
    needed = _NeededRows()
    for event in events:
        match event.data:
            case SubmitReport(issue_id=issue_id, report=submission):
                needed.add_submission(submission.order_id, issue_id, submission)
            case IssueSubmitted() as submission:
                needed.add_submission(submission.order_id, issue_id_of(event, submission), submission)
            case (
                ProvideDetails(issue_id=issue_id, order_id=order_id)
                | RecordStaffDecision(issue_id=issue_id, order_id=order_id)
                | WithdrawReport(issue_id=issue_id, order_id=order_id)
                | IssueWithdrawn(issue_id=issue_id, order_id=order_id)
            ):
                needed.orders.add(order_id)
                needed.reports.add(issue_id)
            case TimerFired() if event.subject:
                needed.orders.add(event.subject)
    for order in orders:
        for report in order.awaiting_order:
            needed.add_submission(order.order_id, report.issue_id, report.submission)
        if order.order_id in needed.orders:
            for pending in order.awaiting_details:
                needed.photos.update(pending.report.submission.photos)
    return needed


@dataclass(frozen=True)
class _Rows:
    """The rows that a batch reads beside its orders; the outer keys are order ids where decisions are per order."""

    entitlements: Mapping[str, Mapping[Unit, UUID]]
    replaced_on: Mapping[str, Mapping[Unit, date]]
    order_by_issue: Mapping[UUID, str]
    references: Mapping[str, Mapping[str, frozenset[UUID]]]
    stored_reports: Mapping[UUID, StoredReport]
    photo_owners: Mapping[str, set[str | None]]

    def state_of(self, order_id: str, version: int = 0, order: Order | None = None) -> OrderState:
        customers = {None, order.purchase.customer_id if order and order.purchase else None}
        return OrderState(
            order or Order(order_id),
            entitlements=self.entitlements.get(order_id, {}),
            order_by_issue=self.order_by_issue,
            issues_by_reference=self.references.get(order_id, {}),
            stored_reports=self.stored_reports,
            available_photos=frozenset(photo for photo, owners in self.photo_owners.items() if owners & customers),
            version=version,
            loaded_order=order,
            replaced_on=self.replaced_on.get(order_id, {}),
        )


async def _read_rows(conn: Connection, needed: _NeededRows, known: Collection[str]) -> _Rows:
    held, replaced_on = await entitlements.read_entitlements(conn, [key for key in needed.orders if key in known])
    order_by_issue, references = await issues.read_known_issues(conn, needed.orders, needed.issues)
    return _Rows(
        entitlements=held,
        replaced_on=replaced_on,
        order_by_issue=order_by_issue,
        references=references,
        stored_reports=await issues.read_reports(conn, needed.reports) if needed.reports else {},
        photo_owners=await evidence.read_photo_owners(conn, needed.photos) if needed.photos else {},
    )
