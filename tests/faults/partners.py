"""Warehouse, courier, payment provider, staff and customers of a fault run: they answer everything, late, twice or out
of order.
"""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from libs.common.decisions.ids import derived_id
from libs.common.events import topics
from libs.common.events.envelope import Payload
from tests.faults import answers, boxes, customers, payment_answers, warehouse_answers, workload
from tests.faults.answers import EvenRandom
from tests.faults.buyers import ChoiceMails, cluster_decision
from tests.faults.driver import code_of
from tests.faults.listener import Listener, TopicEvent
from tests.faults.order_wishes import WishAnswer, to_wish
from tests.faults.partner_service import PartnerClient
from tests.faults.publisher import RetryingPublisher, record_of
from tests.faults.replica import Replica
from tests.faults.system import LINK_SECRET, FaultSystem
from tests.faults.workload import SimulatedPurchase

ANSWERED_TOPICS = (
    topics.WAREHOUSE_ORDERS,
    topics.CARRIER_ORDERS,
    topics.PAYMENT_ORDERS,
    topics.ISSUES,
    topics.NOTICES,
    topics.PRODUCT_ALERTS,
)
QUICK, SLOW = (0.0, 0.4), (2.0, 12.0)
SLOW_SHARE = 0.08
SHARED_BOX_SECONDS, LATE_PAUSE = 8.0, 0.2
HTTP_SHARE, DECIDING_SHARE = 0.6, 0.8


@dataclass
class FaultPartners:
    """`in_flight` counts unpublished answers; `counts` the injected disorder. `orderly` turns the disorder off, `plain`
    the surprises: every answer is the most common one. `purchases` are other orders than those of the seed.
    """

    system: FaultSystem
    publisher: RetryingPublisher
    seed: int
    zone: ZoneInfo
    orderly: bool = False
    plain: bool = False
    over_http: PartnerClient | None = None
    reads_mails: bool = True
    purchases: Callable[[int], SimulatedPurchase] | None = None
    counts: Counter[str] = field(default_factory=Counter)
    _attempts: Counter[str] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _published: dict[str, Payload] = field(default_factory=dict)
    _slips: dict[str, str | None] = field(default_factory=dict)
    _collected: set[str] = field(default_factory=set)
    _wished: set[str] = field(default_factory=set)
    _paid: set[str] = field(default_factory=set)
    _shared: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    warned_clusters: set[str] = field(default_factory=set)
    _mails: ChoiceMails = field(init=False)
    _listener: Listener | None = None
    _late: list[tuple[datetime, TopicEvent, WishAnswer]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._mails = ChoiceMails(self.system)

    @property
    def in_flight(self) -> int:
        unread = len(self._mails.unread) if self.reads_mails else 0
        return len(self._tasks) + unread + (self._listener.lag if self._listener else 1)

    async def run(self) -> None:
        """Run until cancelled."""
        self._listener = Listener(self.system.servers, self.system.prefix, ANSWERED_TOPICS)
        besides = [asyncio.create_task(self._read_mails()), asyncio.create_task(self._answer_late())]
        try:
            async for event in self._listener.listen():
                self._handle(event)
        finally:
            for task in [*besides, *self._tasks]:
                task.cancel()

    async def _read_mails(self) -> None:
        """Let customers of late orders decide by the links in their mails; some leave it to the deadline."""
        while self.reads_mails:
            for order_id, path in await self._mails.next_links():
                if self._purchase(order_id).asked and self._rng(path).random() < DECIDING_SHARE:
                    self._start_task(self._choose_by(path, self._rng(path)))

    def _grant_wish(self, event: TopicEvent, rng: random.Random, now: datetime) -> None:
        """Answer what a customer decided about an order, as shops do: also late, twice, or never."""
        bought = self._purchase(event.data["order_id"])
        if not bought.asked or bought.order_id in self._wished:
            return
        self._wished.add(bought.order_id)
        wish = to_wish(event.data, bought.quantity, workload.UNIT_PRICE, rng, now)
        self.counts[f"shop: {wish.manner}"] += 1
        if wish.not_before is None:
            self._answer(event, wish.answers, rng)
        else:
            self._late.append((wish.not_before, event, wish))

    async def _answer_late(self) -> None:
        """Publish late answers once the clock has passed their moment; until then no work is in flight for them."""
        while True:
            await asyncio.sleep(LATE_PAUSE)
            now = self.system.clock.now()
            for late in [late for late in self._late if late[0] <= now]:
                self._late.remove(late)
                self._answer(late[1], late[2].answers, self._rng(late[1].id))

    async def _decide_cluster(self, event: TopicEvent) -> None:
        """Staff warn the buyers of the faulty lot, and refuse other clusters."""
        cluster_id, decision = event.data["cluster_id"], cluster_decision(event.data, workload.FAULTY_LOT)
        headers = {"Authorization": f"Bearer {self.system.keys['ops']}", "Idempotency-Key": event.id}
        path = f"/v1/insights/clusters/{cluster_id}/decision"
        async with httpx.AsyncClient(timeout=20) as http:
            status = await _post_until_answered(http, self._any("intake"), path, decision, headers)
        self.counts[f"clusters decided: {status}"] += 1
        if decision["warn"] and status == 200:
            self.warned_clusters.add(cluster_id)

    def _handle(self, event: TopicEvent) -> None:
        data, now, rng = event.data, self.system.clock.now(), self._rng(event.id)
        match event.type:
            case "replacement.ordered":
                self._slips[data["issue_id"]] = data.get("return_slip")
                attempt = self._attempt(data["issue_id"], data["replacement_id"])
                if attempt:
                    self._answer(event, warehouse_answers.to_replacement(data, attempt, rng, now, self.zone), rng)
            case "collection.requested":
                self._collect(event, rng, now)
            case "refund.requested":
                self._pay(event, rng, now)
            case "issue.choice_requested":
                self._start_task(self._choose(event, rng))
            case "issue.review_requested":
                self._start_task(self._decide(event, rng))
            case "customer.decided" if not data.get("issue_id"):
                self._grant_wish(event, rng, now)
            case "cluster.detected":
                self._start_task(self._decide_cluster(event))
            case _:
                return

    def _purchase(self, order_id: str) -> SimulatedPurchase:
        number = int(order_id[1:])
        return self.purchases(number) if self.purchases else workload.purchase(self.seed, number)

    def _pay(self, event: TopicEvent, rng: random.Random, now: datetime) -> None:
        """Pay a refund once, however often it is requested."""
        refund_id = event.data["refund_id"]
        if refund_id in self._paid:
            return
        self._attempts[refund_id] += 1
        planned = payment_answers.to_refund(event.data, self._attempts[refund_id], rng, now)
        if planned[0].name != "failed":
            self._paid.add(refund_id)
        self._answer(event, planned, rng)

    def _collect(self, event: TopicEvent, rng: random.Random, now: datetime) -> None:
        """Collect a box, unless it was sent back before the report; hold one that a second issue shares."""
        data, bought = event.data, self._purchase(event.data["order_id"])
        if self.plain:
            bought = replace(bought, early_box=False, shared_box=False)
        planned = boxes.to_collection(data, rng, now, self._slips.get(data["issue_id"]))
        if bought.early_box:
            planned = boxes.nothing_to_collect(data, now)
        if all(answer.name != "received" for answer in planned):
            self._answer(event, planned, rng)
            return
        if data["collection_id"] in self._collected:
            return
        self._collected.add(data["collection_id"])
        if not bought.shared_box:
            self._answer(event, planned, rng)
            return
        self._answer(event, [answer for answer in planned if answer.name in ("booked", "collected")], rng)
        self._start_task(self._share(event, rng))

    async def _share(self, event: TopicEvent, rng: random.Random) -> None:
        """Count the boxes of an order as one, if another follows soon."""
        held = self._shared.setdefault(event.data["order_id"], [])
        if event.data["issue_id"] in [request["issue_id"] for request in held]:
            return  # requested under another id meanwhile: the goods are in this box already
        held.append(event.data)
        if len(held) == 1:
            await asyncio.sleep(SHARED_BOX_SECONDS)
            requests = self._shared.pop(event.data["order_id"])
            self.counts["shared boxes"] += len(requests) > 1
            self._answer(event, boxes.shared_box(requests, self.system.clock.now()), rng)

    def _attempt(self, issue: str, replacement: str) -> int:
        """The number of this replacement within its issue; 0 for one that was requested before."""
        if self._attempts[replacement]:
            return 0
        self._attempts[replacement] += 1
        self._attempts[issue] += 1
        return self._attempts[issue]

    def _rng(self, cause: str) -> random.Random:
        return EvenRandom() if self.plain else random.Random(f"{self.seed}:{cause}")

    def _answer(self, event: TopicEvent, planned: answers.PartnerAnswers, rng: random.Random) -> None:
        if not self.orderly:
            planned, repeated, swapped = answers.disorder(planned, rng)
            self.counts.update(duplicates=repeated, reordered=swapped)
        self._start_task(self._publish(event, planned, rng))

    def _start_task(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _publish(self, event: TopicEvent, planned: answers.PartnerAnswers, rng: random.Random) -> None:
        moment = self.system.clock.now()
        is_sent_over_http = event.type == "refund.requested" and rng.random() < HTTP_SHARE
        for answer in planned:
            slow = not self.orderly and rng.random() < SLOW_SHARE
            self.counts.update(delayed=int(slow))
            await asyncio.sleep(rng.uniform(*(SLOW if slow else QUICK)))
            event_id = str(derived_id("faults", event.id, answer.name))
            payload = self._published.setdefault(event_id, answer.payload)  # a repeat is equal, also its times
            record = record_of(payload, event_id, "/faults/partner", moment, event.trace, key=event.key)
            if is_sent_over_http and self.over_http:
                await self.over_http.send("bank", record)
                self.counts["events over HTTP"] += 1
            else:
                await self.publisher.publish(record)

    async def _choose(self, event: TopicEvent, rng: random.Random) -> None:
        """Most customers answer a question soon; the others leave it to its deadline."""
        if rng.random() >= customers.ANSWER_SHARE:
            return
        await self._choose_by(customers.choice_path(event.data, LINK_SECRET), rng)

    async def _choose_by(self, path: str, rng: random.Random) -> None:
        await asyncio.sleep(rng.uniform(1, 4))
        answer = await customers.answer_choice(self._any("delivery_notify"), path, rng)
        self.counts[f"customers: {answer or 'too late'}"] += 1

    async def _decide(self, event: TopicEvent, rng: random.Random) -> None:
        """Approve a review after a while, repeated until answered; a settled review is refused, which is right."""
        await asyncio.sleep(rng.uniform(1, 4))
        path = f"/v1/cases/{event.data['issue_id']}/reviews/{event.data['cause']}"
        headers = {"Authorization": f"Bearer {self.system.keys['ops']}", "Idempotency-Key": event.id}
        async with httpx.AsyncClient(timeout=20) as http:
            await _post_until_answered(http, self._any("returns"), path, {"approved": True}, headers)

    def _any(self, service: str) -> Callable[[], list[Replica]]:
        return lambda: self.system.running(service)


async def _post_until_answered(
    http: httpx.AsyncClient, replicas: Callable[[], list[Replica]], path: str, body: object, headers: dict[str, str]
) -> int:
    for attempt in itertools.count():
        for replica in random.sample(running := replicas(), len(running)):
            try:
                answer = await http.post(replica.url + path, json=body, headers=headers)
            except httpx.HTTPError:
                continue
            if answer.status_code < 500 and code_of(answer) not in (None, "still_running"):
                return answer.status_code
        await asyncio.sleep(min(4.0, 0.5 * 2**attempt))
    raise AssertionError("counting has no end")
