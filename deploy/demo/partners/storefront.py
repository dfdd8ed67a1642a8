"""The storefront: publishes its orders, submits customers' reports, and applies most of their decisions.

Its ledger holds every submitted report with its answer (`GET /ledger`), so that the auditor can compare them with the
topics. Most reports go by HTTP, some by Kafka; some have a photo. Items of a held lot are replaced from checked stock,
and the shipment says so. A few customers report a defective replacement.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.demo.data.order_sources import load_orders
from deploy.demo.data.orders import OrderDataset, ReplayedLine, ReplayedOrder
from deploy.demo.partners.after_reports import AfterReports
from deploy.demo.partners.checkout import Checkout
from deploy.demo.partners.codec import ReceivedEvent, ScheduledEvent
from deploy.demo.partners.order_changes import (
    catalogue_of,
    exchange_order,
    is_declined,
    pick_time,
    replace_held_lots,
    reschedule,
    without_lines,
)
from deploy.demo.partners.order_corrections import NOT_ON_ANOTHER_DAY, as_guest, corrected, merge_of
from deploy.demo.partners.order_lifecycle import LifecycleEvent, lifecycle_events
from deploy.demo.partners.partner import Partner, PartnerTask, main, run_alone
from deploy.demo.partners.report_scenarios import (
    CustomerReport,
    ReportChannel,
    ReportVariant,
    photo,
    report_of_replacement,
    reports,
    trace_headers,
)
from deploy.demo.partners.settings import StorefrontSettings
from libs.common.config.settings import load
from libs.common.events.change_requests import ChangeAnswer, OrderChangeAnswered
from libs.common.events.issues import IssueAccepted, IssueReplacementDelivered
from libs.common.events.notices import ChangeSubject, CustomerDecided, DecidedBy
from libs.common.events.products import LotHeld, LotReleased
from libs.common.events.storefront import IssueSubmitted, OrderCancelled, OrderPromiseChanged, OrderShipped
from libs.common.events.topics import ISSUES, NOTICES, PRODUCT_ALERTS
from libs.common.events.values import Choice

ATTEMPTS = 8
"""Attempts to submit a report whose answer was lost or 5xx, with the same idempotency key."""

UPLOAD_DELAY = timedelta(minutes=1)
"""The customer takes the photo after the report."""


@dataclass
class Storefront:
    partner: Partner
    settings: StorefrontSettings
    http: httpx.AsyncClient
    ledger: list[dict[str, Any]] = field(default_factory=list)
    cancelled_orders: set[str] = field(default_factory=set)
    shipped: set[str] = field(default_factory=set)
    decisions_seen: set[str] = field(default_factory=set)
    new_dates: dict[str, datetime] = field(default_factory=dict)
    cancelled_lines: dict[str, set[str]] = field(default_factory=dict)
    orders: dict[str, ReplayedOrder] = field(default_factory=dict)
    catalogue: dict[str, ReplayedLine] = field(default_factory=dict)
    change_outcomes: Counter[str] = field(default_factory=Counter)
    replacements_seen: set[UUID] = field(default_factory=set)
    notices: httpx.AsyncClient | None = None
    published: int = 0
    scheduled: int = 0
    held_lots: set[tuple[str, str | None]] = field(default_factory=set)
    open_tasks: set[asyncio.Task[None]] = field(default_factory=set)
    checkout: Checkout | None = None
    after_reports: AfterReports | None = None

    def load(self, dataset: OrderDataset) -> None:
        """Schedule every order and every report of the replay."""
        seed = self.settings.seed
        orders = [as_guest(order, seed) for order in dataset.orders]
        self.orders |= {order.order_id: order for order in orders}
        self.catalogue = catalogue_of(orders)
        for order, sold in zip(orders, dataset.orders, strict=True):
            self._schedule_order(order)
            if merge := merge_of(order, sold.customer, seed):
                self._schedule_event(order.order_id, merge)
        for report in reports(orders, seed, self.settings.report_share):
            self._schedule_report(report)

    def _schedule_order(self, order: ReplayedOrder) -> None:
        zone, seed = self.settings.zone, self.settings.seed
        for event in corrected(order, lifecycle_events(order, zone, seed), zone, seed):
            self._schedule_event(order.order_id, event)

    def _schedule_event(self, order_id: str, event: LifecycleEvent) -> None:
        self.partner.schedule(event.at, partial(self._publish, order_id, event))
        self.scheduled += 1

    def _schedule_report(self, report: CustomerReport) -> None:
        self.partner.schedule(report.at, partial(self._start_report, report))
        self.scheduled += 1

    def handle(self, received: ReceivedEvent) -> None:
        match received.event.data:
            case CustomerDecided(issue_id=None) as decision if received.event.id not in self.decisions_seen:
                self.decisions_seen.add(received.event.id)
                self._apply_decision(decision)
            case IssueReplacementDelivered() as arrived if arrived.issue_id not in self.replacements_seen:
                self.replacements_seen.add(arrived.issue_id)
                if report := report_of_replacement(arrived, self.settings.seed):
                    self._schedule_report(report)
            case IssueAccepted() as accepted if self.after_reports:
                self.after_reports.handle(accepted)
            case LotHeld() as lot:
                self.held_lots.add((lot.sku, lot.lot))
            case LotReleased() as lot:
                self.held_lots.discard((lot.sku, lot.lot))
            case _:
                return

    def _apply_decision(self, decision: CustomerDecided) -> None:
        """Cancel or change an unshipped order; waiting changes nothing."""
        order = self.orders.get(decision.order_id)
        at = max(decision.decided_at, self.partner.clock.now()) + timedelta(minutes=5)
        if order is None or order.order_id in self.shipped or order.order_id in self.cancelled_orders:
            self.change_outcomes["came too late"] += 1
            self._answer(decision, at, ChangeAnswer.DECLINED, "already_shipped")
            return
        is_first = not self.change_outcomes["declined"]
        if is_declined(decision, is_first, self.partner.rng("decline", decision.choice_id)):
            self.change_outcomes["declined"] += 1
            self._answer(decision, at, ChangeAnswer.DECLINED, "already_packed")
            return
        match decision.choice, decision.change:
            case Choice.CANCEL, _:
                cause = f"{decision.reason or DecidedBy.CUSTOMER}_decided"
                self._cancel(order, decision, at, cause)
            case Choice.CHANGE, ChangeSubject.ITEM:
                self._exchange(order, decision, at)
            case Choice.CHANGE, ChangeSubject.ADDRESS:
                self.start_task(self._change_address(decision))
            case Choice.CHANGE, _:
                self._change_date(order, decision, at)
            case _:
                self.change_outcomes["waited"] += 1

    def _cancel(self, order: ReplayedOrder, decision: CustomerDecided, at: datetime, cause: str) -> None:
        """Other lines of the order continue."""
        dropped = self.cancelled_lines.setdefault(order.order_id, set())
        dropped.update(decision.line_ids or (line.line_id for line in order.lines))
        whole = dropped.issuperset(line.line_id for line in order.lines)
        lines = () if whole else decision.line_ids
        cancelled = OrderCancelled(order_id=order.order_id, line_ids=lines, cancelled_at=at, cause=cause)
        self.partner.schedule_event(ScheduledEvent(at, f"decided-{decision.choice_id}", cancelled))
        self.change_outcomes[cause.replace("_", " ")] += 1
        if whole:
            self.cancelled_orders.add(order.order_id)
        if self.checkout:
            self.checkout.handle(cancelled)

    def _exchange(self, order: ReplayedOrder, decision: CustomerDecided, at: datetime) -> None:
        """Place a new order for the requested item; an item that is not sold is declined, and the order goes on."""
        new = exchange_order(order, decision, at, self.catalogue)
        if new is None:
            self.change_outcomes["not sold"] += 1
            self._answer(decision, at, ChangeAnswer.DECLINED, "not_sold")
            return
        self._answer(decision, at, ChangeAnswer.ACCEPTED)
        self._cancel(order, decision, at, "exchanged")
        self.orders[new.order_id] = new
        for event in lifecycle_events(new, self.settings.zone, self.settings.seed):
            self._schedule_event(new.order_id, event)

    def _change_date(self, order: ReplayedOrder, decision: CustomerDecided, at: datetime) -> None:
        ship_at = pick_time(decision, self.settings.zone)
        if ship_at is None or decision.requested_date is None:
            return
        change = OrderPromiseChanged(
            order_id=order.order_id, promised_ship_date=decision.requested_date, cause="customer_asked", changed_at=at
        )
        self.partner.schedule_event(ScheduledEvent(at, f"decided-{decision.choice_id}", change))
        self._answer(decision, at, ChangeAnswer.ACCEPTED)
        self.new_dates[order.order_id] = ship_at
        self.change_outcomes["another day"] += 1

    def _answer(self, decision: CustomerDecided, at: datetime, answer: ChangeAnswer, reason: str | None = None) -> None:
        """Answer a request, as far as one has to be answered."""
        if decision.answer_by is None:
            return
        answered = OrderChangeAnswered(
            order_id=decision.order_id,
            customer_id=decision.customer_id,
            request_id=decision.choice_id,
            answer=answer,
            reason=reason,
            answered_at=at,
        )
        self.partner.schedule_event(ScheduledEvent(at, f"answered-{decision.choice_id}", answered))

    async def _change_address(self, decision: CustomerDecided) -> None:
        """The address is in no event; it is fetched for the parcel's label."""
        if self.notices is None:
            return
        answer = await self.notices.get(f"/v1/orders/{decision.order_id}/choices/{decision.choice_id}/address")
        available = answer.status_code == 200 and bool(answer.json().get("street"))
        self.change_outcomes["another address" if available else "an address that was not there"] += 1
        at = max(decision.decided_at, self.partner.clock.now()) + timedelta(minutes=5)
        if available:
            self._answer(decision, at, ChangeAnswer.ACCEPTED)
        else:
            self._answer(decision, at, ChangeAnswer.DECLINED, "address_missing")

    async def _publish(self, order_id: str, event: LifecycleEvent) -> None:
        ship_at = self.new_dates.get(order_id)
        if ship_at and event.at < ship_at and event.name not in NOT_ON_ANOTHER_DAY:
            # The customer requested another day: later events move with it.
            self.partner.schedule(ship_at, partial(self._publish, order_id, reschedule(event, ship_at)))
            return
        self.published += 1
        if order_id in self.cancelled_orders or (ship_at and event.name in NOT_ON_ANOTHER_DAY):
            return
        payload = without_lines(event.payload, self.cancelled_lines.get(order_id, set()))
        if payload is None:
            return
        if isinstance(payload, OrderShipped):
            self.shipped.add(order_id)
            payload = replace_held_lots(payload, {lot for _, lot in self.held_lots})
        if self.checkout:
            self.checkout.handle(payload)
        self.partner.schedule_event(ScheduledEvent(event.at, f"{event.name}-{order_id}", payload))

    async def _start_report(self, report: CustomerReport) -> None:
        """Submit in a task, so that one slow answer does not block others."""
        self.start_task(self._submit(report))

    def start_task(self, work: Awaitable[None]) -> None:
        """Start a task that the clock driver waits for."""
        task = asyncio.ensure_future(work)
        self.open_tasks.add(task)
        task.add_done_callback(self.open_tasks.discard)

    async def _submit(self, report: CustomerReport) -> None:
        self.published += 1
        dropped = self.cancelled_lines.get(report.order_id, set())
        if report.order_id in self.new_dates or any(line.line_id in dropped for line in report.lines):
            return
        entry: dict[str, Any] = {"key": report.key, "order_id": report.order_id, "channel": report.channel}
        entry |= {"variant": report.variant, "reason": report.reason}
        submitted = IssueSubmitted(
            order_id=report.order_id,
            customer_id=report.customer_id,
            reason=report.reason,
            lines=report.lines,
            requested_remedy=report.requested_remedy,
            reference=report.key,
        )
        self.ledger.append(entry)
        if report.channel is ReportChannel.KAFKA:
            await self.partner.publish(
                ScheduledEvent(report.reported_at, f"report-{report.key}", submitted), trace_headers(report)
            )
        else:
            await self._post(report, submitted, entry)

    async def _post(self, report: CustomerReport, submitted: IssueSubmitted, entry: dict[str, Any]) -> None:
        headers = {"Idempotency-Key": report.key, "Content-Type": "application/json", **trace_headers(report)}
        body = submitted.model_dump_json(exclude_none=True)
        for attempt in range(ATTEMPTS):
            try:
                answer = await self.http.post("/v1/issues", content=body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.1 * 2**attempt)
                continue
            if answer.status_code < 500 and not _still_running(answer):
                self._record_answer(report, answer, entry)
                return
            await asyncio.sleep(0.05 * 2**attempt)
        entry["status"] = None

    def _record_answer(self, report: CustomerReport, answer: httpx.Response, entry: dict[str, Any]) -> None:
        body = answer.json()
        entry |= {"status": answer.status_code, "answered_at_ms": time.time() * 1000}
        entry |= {"issue_id": body.get("issue_id"), "code": body.get("code")}
        if answer.status_code == 202 and report.photo and report.variant is ReportVariant.NONE:
            at = report.at + UPLOAD_DELAY
            self.partner.schedule(at, partial(self._start_upload, report, body["issue_id"], entry))

    async def _start_upload(self, report: CustomerReport, issue_id: str, entry: dict[str, Any]) -> None:
        self.start_task(self._upload(report, issue_id, entry))

    async def _upload(self, report: CustomerReport, issue_id: str, entry: dict[str, Any]) -> None:
        files = {"photos": ("photo.jpg", photo(report.key), "image/jpeg")}
        entry["photo"] = (await self.http.post(f"/v1/issues/{issue_id}/photos", files=files)).status_code

    def details(self) -> dict[str, Any]:
        points = dict(self.checkout.outcomes) if self.checkout else {}
        counts = {"published": self.published, "scheduled": self.scheduled, "open_tasks": len(self.open_tasks)}
        counts["reports"] = len(self.ledger)
        later = dict(self.after_reports.outcomes) if self.after_reports else {}
        return {**counts, "paid_with_points": points, "order_changes": self.change_outcomes, "after_reports": later}

    async def show_ledger(self, request: Request) -> JSONResponse:
        return JSONResponse(self.ledger)


def _still_running(answer: httpx.Response) -> bool:
    """The first call with this key is not answered yet; the call is repeated for its answer."""
    return answer.status_code == 409 and bool(answer.json().get("code") == "still_running")


@asynccontextmanager
async def storefront(settings: StorefrontSettings) -> AsyncIterator[PartnerTask]:
    partner = Partner("storefront", settings, (NOTICES, ISSUES, PRODUCT_ALERTS))
    key = settings.api_key.get_secret_value()
    headers = {"Authorization": f"Bearer {key}"}
    async with AsyncExitStack() as clients:
        http, points, notices = [
            await clients.enter_async_context(httpx.AsyncClient(base_url=url or "", headers=headers, timeout=30))
            for url in (settings.intake_url, settings.loyalty_url, settings.notices_url)
        ]
        storefront = Storefront(partner, settings, http, notices=notices if settings.notices_url else None)
        if settings.loyalty_url:
            storefront.checkout = Checkout(partner, points, storefront.start_task)
        storefront.after_reports = AfterReports(partner, http, storefront.start_task, storefront.orders)
        storefront.load(load_orders(settings.orders, settings.seed, settings.orders_count))
        partner.details = storefront.details
        partner.routes.append(Route("/ledger", storefront.show_ledger))
        yield PartnerTask(partner, storefront.handle)


async def run() -> None:
    async with storefront(load(StorefrontSettings)) as job:
        await run_alone(job)


if __name__ == "__main__":
    main(run)
