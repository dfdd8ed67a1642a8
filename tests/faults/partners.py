"""Warehouse, courier, payment provider and staff of a fault run: they answer everything, late, twice or
out of order."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from libs.common.decisions.ids import derived_id
from libs.common.events import topics
from libs.common.events.envelope import Payload
from tests.faults import answers
from tests.faults.listener import Listener, TopicEvent
from tests.faults.publisher import RetryingPublisher, record_of
from tests.faults.replica import Replica
from tests.faults.system import FaultSystem

ANSWERED_TOPICS = (topics.WAREHOUSE_ORDERS, topics.CARRIER_ORDERS, topics.PAYMENT_ORDERS, topics.ISSUES)
QUICK, SLOW = (0.0, 0.4), (2.0, 12.0)
SLOW_SHARE = 0.08


@dataclass
class FaultPartners:
    """`in_flight` counts unpublished answers; `counts` the injected disorder. `orderly` turns the disorder off."""

    system: FaultSystem
    publisher: RetryingPublisher
    seed: int
    zone: ZoneInfo
    orderly: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    _attempts: Counter[str] = field(default_factory=Counter)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _published: dict[str, Payload] = field(default_factory=dict)
    _listener: Listener | None = None

    @property
    def in_flight(self) -> int:
        return len(self._tasks) + (self._listener.lag if self._listener else 1)

    async def run(self) -> None:
        """Run until cancelled."""
        self._listener = Listener(self.system.servers, self.system.prefix, ANSWERED_TOPICS)
        try:
            async for event in self._listener.listen():
                self._handle(event)
        finally:
            for task in list(self._tasks):
                task.cancel()

    def _handle(self, event: TopicEvent) -> None:
        data, now, rng = event.data, self.system.clock.now(), self._rng(event.id)
        match event.type:
            case "replacement.ordered":
                attempt = self._attempt(data["issue_id"], data["replacement_id"])
                if attempt:
                    self._answer(event, answers.to_replacement(data, attempt, rng, now, self.zone), rng)
            case "collection.requested":
                self._answer(event, answers.to_collection(data, rng, now), rng)
            case "refund.requested":
                self._attempts[data["refund_id"]] += 1
                self._answer(event, answers.to_refund(data, self._attempts[data["refund_id"]], rng, now), rng)
            case "issue.review_requested":
                self._start_task(self._decide(event, rng))
            case _:
                return

    def _attempt(self, issue: str, replacement: str) -> int:
        """The number of this replacement within its issue; 0 for one that was requested before."""
        if self._attempts[replacement]:
            return 0
        self._attempts[replacement] += 1
        self._attempts[issue] += 1
        return self._attempts[issue]

    def _rng(self, cause: str) -> random.Random:
        return random.Random(f"{self.seed}:{cause}")

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
        for answer in planned:
            slow = not self.orderly and rng.random() < SLOW_SHARE
            self.counts.update(delayed=int(slow))
            await asyncio.sleep(rng.uniform(*(SLOW if slow else QUICK)))
            event_id = str(derived_id("faults", event.id, answer.name))
            payload = self._published.setdefault(event_id, answer.payload)  # a repeat is equal, also its times
            await self.publisher.publish(
                record_of(payload, event_id, "/faults/partner", moment, event.trace, key=event.key)
            )

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
            if answer.status_code < 500 and answer.json().get("code") != "still_running":
                return answer.status_code
        await asyncio.sleep(min(4.0, 0.5 * 2**attempt))
    raise AssertionError("counting has no end")
