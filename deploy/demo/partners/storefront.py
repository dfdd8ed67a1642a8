"""The storefront: tells of its orders as they happen, passes on what customers report, and does what they decide.

It keeps a ledger of every report it handed over and what it was answered (`GET /ledger`), so that the auditor can ask
the topics whether what was answered 202 came to its effect. Reports go by HTTP, some by Kafka; some carry a photo.
Pieces of a lot that is held do not leave: the warehouse picks from its checked stock instead, and the parcel says so.
Of those who got a replacement a few find that it is broken as well, and say so.
"""

import asyncio
import io
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Set
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import httpx
from PIL import Image
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deploy.demo.data.order_sources import open_book
from deploy.demo.data.orders import Line, Order, OrderBook
from deploy.demo.partners.checkout import Checkout
from deploy.demo.partners.codec import Planned, Received
from deploy.demo.partners.order_changes import catalogue_of, exchanged, morning_of, moved, without
from deploy.demo.partners.order_lifecycle import Told, life_of
from deploy.demo.partners.partner import Job, Partner, main, run_alone
from deploy.demo.partners.report_scenarios import Channel, Report, Twist, broken_too, reports
from deploy.demo.partners.settings import StorefrontSettings
from libs.common.config.settings import load
from libs.common.decisions.ids import derived_id
from libs.common.events.issues import IssueReplacementDelivered
from libs.common.events.notices import ChangeSubject, CustomerDecided, DecidedBy
from libs.common.events.products import LotHeld, LotReleased
from libs.common.events.storefront import IssueSubmitted, OrderCancelled, OrderPromiseChanged, OrderShipped
from libs.common.events.topics import ISSUES, NOTICES, PRODUCT_ALERTS
from libs.common.events.values import Choice

ATTEMPTS = 8
"""How often a report is handed over again where the answer was lost or 5xx: the same key, so it is one report."""


@dataclass
class Storefront:
    partner: Partner
    settings: StorefrontSettings
    http: httpx.AsyncClient
    ledger: list[dict[str, Any]] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)
    shipped: set[str] = field(default_factory=set)
    decided: set[str] = field(default_factory=set)
    moved: dict[str, datetime] = field(default_factory=dict)
    dropped: dict[str, set[str]] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    catalogue: dict[str, Line] = field(default_factory=dict)
    wishes: Counter[str] = field(default_factory=Counter)
    replaced: set[UUID] = field(default_factory=set)
    notices: httpx.AsyncClient | None = None
    told: int = 0
    to_tell: int = 0
    held: set[tuple[str, str | None]] = field(default_factory=set)
    in_hand: set[asyncio.Task[None]] = field(default_factory=set)
    checkout: Checkout | None = None

    def take(self, book: OrderBook) -> None:
        """Put every order and every report of the replay on the list of what to do when."""
        self.orders = {order.order_id: order for order in book.orders}
        self.catalogue = catalogue_of(book.orders)
        for order in book.orders:
            self._live(order)
        for report in reports(book.orders, self.settings.seed, self.settings.report_share):
            self._expect(report)

    def _live(self, order: Order) -> None:
        for told in life_of(order, self.settings.zone, self.settings.seed):
            self.partner.at(told.at, partial(self._tell, told))
            self.to_tell += 1

    def _expect(self, report: Report) -> None:
        self.partner.at(report.at, partial(self._report, report))
        self.to_tell += 1

    def listen(self, received: Received) -> None:
        match received.event.data:
            case CustomerDecided(issue_id=None) as decision if received.event.id not in self.decided:
                self.decided.add(received.event.id)
                self._decide(decision)
            case IssueReplacementDelivered() as arrived if arrived.issue_id not in self.replaced:
                self.replaced.add(arrived.issue_id)
                if report := broken_too(arrived, self.settings.seed):
                    self._expect(report)
            case LotHeld() as lot:
                self.held.add((lot.sku, lot.lot))
            case LotReleased() as lot:
                self.held.discard((lot.sku, lot.lot))
            case _:
                return

    def _decide(self, decision: CustomerDecided) -> None:
        """An order that has not left yet is called off or changed; waiting changes nothing."""
        order = self.orders.get(decision.order_id)
        if order is None or order.order_id in self.shipped or order.order_id in self.stopped:
            self.wishes["came too late"] += 1
            return
        at = max(decision.decided_at, self.partner.clock.now()) + timedelta(minutes=5)
        match decision.choice, decision.change:
            case Choice.CANCEL, _:
                cause = f"{decision.reason or DecidedBy.CUSTOMER}_decided"
                self._call_off(order, decision, at, cause)
            case Choice.CHANGE, ChangeSubject.ITEM:
                self._exchange(order, decision, at)
            case Choice.CHANGE, ChangeSubject.ADDRESS:
                self.begin(self._readdress(decision))
            case Choice.CHANGE, _:
                self._move(order, decision, at)
            case _:
                self.wishes["waited"] += 1

    def _call_off(self, order: Order, decision: CustomerDecided, at: datetime, cause: str) -> None:
        """Of an order with other lines those go on."""
        dropped = self.dropped.setdefault(order.order_id, set())
        dropped.update(decision.line_ids or (line.line_id for line in order.lines))
        whole = dropped.issuperset(line.line_id for line in order.lines)
        lines = () if whole else decision.line_ids
        cancelled = OrderCancelled(order_id=order.order_id, line_ids=lines, cancelled_at=at, cause=cause)
        self.partner.plan(Planned(at, f"decided-{decision.choice_id}", cancelled))
        self.wishes[cause.replace("_", " ")] += 1
        if whole:
            self.stopped.add(order.order_id)
        if self.checkout:
            self.checkout.see(cancelled)

    def _exchange(self, order: Order, decision: CustomerDecided, at: datetime) -> None:
        """What they would rather have is ordered anew; what the shop does not have is talked about by telephone."""
        self._call_off(order, decision, at, "exchanged" if decision.requested_sku in self.catalogue else "telephoned")
        if new := exchanged(order, decision, at, self.catalogue):
            self.orders[new.order_id] = new
            self._live(new)

    def _move(self, order: Order, decision: CustomerDecided, at: datetime) -> None:
        wanted = morning_of(decision, self.settings.zone)
        if wanted is None or decision.requested_date is None:
            return
        told = OrderPromiseChanged(
            order_id=order.order_id, promised_ship_date=decision.requested_date, cause="customer_asked", changed_at=at
        )
        self.partner.plan(Planned(at, f"decided-{decision.choice_id}", told))
        self.moved[order.order_id] = wanted
        self.wishes["another day"] += 1

    async def _readdress(self, decision: CustomerDecided) -> None:
        """The address stands in no event: it is asked for, and goes on the parcel's label."""
        if self.notices is None:
            return
        answer = await self.notices.get(f"/v1/orders/{decision.order_id}/choices/{decision.choice_id}/address")
        found = answer.status_code == 200 and bool(answer.json().get("street"))
        self.wishes["another address" if found else "an address that was not there"] += 1

    async def _tell(self, told: Told) -> None:
        order_id = told.payload.order_id
        wanted = self.moved.get(order_id)
        if wanted and told.at < wanted:
            # The customer asked for another day: all that was to come happens that much later.
            self.partner.at(wanted, partial(self._tell, moved(told, wanted)))
            return
        self.told += 1
        if order_id in self.stopped:
            return
        payload = without(told.payload, self.dropped.get(order_id, set()))
        if payload is None:
            return
        if isinstance(payload, OrderShipped):
            self.shipped.add(order_id)
            payload = from_other_lots(payload, {lot for _, lot in self.held})
        if self.checkout:
            self.checkout.see(payload)
        self.partner.plan(Planned(told.at, f"{told.name}-{order_id}", payload))

    async def _report(self, report: Report) -> None:
        """Handed over beside what else goes on, so that one slow answer does not hold up a shop."""
        self.begin(self._hand_over(report))

    def begin(self, work: Awaitable[None]) -> None:
        """Beside what else goes on; the conductor of the clock waits until it is done."""
        task = asyncio.ensure_future(work)
        self.in_hand.add(task)
        task.add_done_callback(self.in_hand.discard)

    async def _hand_over(self, report: Report) -> None:
        self.told += 1
        dropped = self.dropped.get(report.order_id, set())
        if report.order_id in self.moved or any(line.line_id in dropped for line in report.lines):
            return
        entry: dict[str, Any] = {"key": report.key, "order_id": report.order_id, "channel": report.channel}
        entry |= {"twist": report.twist, "reason": report.reason}
        submitted = IssueSubmitted(
            order_id=report.order_id,
            customer_id=report.customer_id,
            reason=report.reason,
            lines=report.lines,
            requested_remedy=report.wish,
            reference=report.key,
        )
        self.ledger.append(entry)
        if report.channel is Channel.KAFKA:
            await self.partner.say(Planned(report.said_at, f"report-{report.key}", submitted), _trace(report))
        else:
            entry |= await self._post(report, submitted)

    async def _post(self, report: Report, submitted: IssueSubmitted) -> dict[str, Any]:
        headers = {"Idempotency-Key": report.key, "Content-Type": "application/json", **_trace(report)}
        body = submitted.model_dump_json(exclude_none=True)
        for attempt in range(ATTEMPTS):
            try:
                answer = await self.http.post("/v1/issues", content=body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.1 * 2**attempt)
                continue
            if answer.status_code < 500 and not _still_running(answer):
                return await self._answered(report, answer)
            await asyncio.sleep(0.05 * 2**attempt)
        return {"status": None}

    async def _answered(self, report: Report, answer: httpx.Response) -> dict[str, Any]:
        body = answer.json()
        found = {"status": answer.status_code, "answered_at_ms": time.time() * 1000}
        found |= {"issue_id": body.get("issue_id"), "code": body.get("code")}
        if answer.status_code == 202 and report.photo and report.twist is Twist.NONE:
            found["photo"] = await self._upload(report, body["issue_id"])
        return found

    async def _upload(self, report: Report, issue_id: str) -> int:
        files = {"photos": ("photo.jpg", _photo(report.key), "image/jpeg")}
        answer = await self.http.post(f"/v1/issues/{issue_id}/photos", files=files)
        return answer.status_code

    def details(self) -> dict[str, Any]:
        points = dict(self.checkout.outcomes) if self.checkout else {}
        counts = {"told": self.told, "to_tell": self.to_tell, "in_hand": len(self.in_hand)}
        return {**counts, "paid_with_points": points, "wishes": self.wishes}

    async def show_ledger(self, request: Request) -> JSONResponse:
        return JSONResponse(self.ledger)


def from_other_lots(parcel: OrderShipped, held: Set[str | None]) -> OrderShipped:
    """The parcel as it leaves while these lots are held."""
    lines = [
        line.model_copy(update={"lot": f"{line.lot}-checked"}) if line.lot and line.lot in held else line
        for line in parcel.lines
    ]
    return parcel.model_copy(update={"lines": tuple(lines)})


def _still_running(answer: httpx.Response) -> bool:
    """The first call with this key is not answered yet: ask again for its answer."""
    return answer.status_code == 409 and bool(answer.json().get("code") == "still_running")


def _trace(report: Report) -> dict[str, str]:
    """A trace context of the storefront's own, so that the story of a report can be followed from its click."""
    number = derived_id("trace", report.key).hex
    return {"traceparent": f"00-{number}-{number[:16]}-01"}


def _photo(key: str) -> bytes:
    """A small picture of one colour: a real JPEG, and nobody's."""
    colour = tuple(derived_id("photo", key).bytes[:3])
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), colour).save(buffer, "JPEG")
    return buffer.getvalue()


@asynccontextmanager
async def shop(settings: StorefrontSettings) -> AsyncIterator[Job]:
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
            storefront.checkout = Checkout(partner, points, storefront.begin)
        storefront.take(open_book(settings.orders, settings.seed))
        partner.details = storefront.details
        partner.routes.append(Route("/ledger", storefront.show_ledger))
        yield Job(partner, storefront.listen)


async def run() -> None:
    async with shop(load(StorefrontSettings)) as job:
        await run_alone(job)


if __name__ == "__main__":
    main(run)
