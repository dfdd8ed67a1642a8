"""The storefront of a fault run: steady orders, each followed seconds later by reports over HTTP and Kafka.

A call is repeated with the same idempotency key until it is answered; `ledger` keeps the answers.
"""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

import httpx

from libs.common.decisions.ids import derived_id
from libs.common.events.storefront import IssueSubmitted
from tests.faults import workload
from tests.faults.corrections import Correction, NamedEvent
from tests.faults.customers import photo_of, withdrawal
from tests.faults.publisher import RetryingPublisher, record_of
from tests.faults.system import FaultSystem
from tests.faults.workload import LostParcel, SimulatedPurchase

REPORT_DELAY, CORRECTION_DELAY, FOUND_DELAY = (1.0, 5.0), (0.0, 4.0), (0.0, 15.0)
RETRYABLE_CODES = ("unknown_order", "not_delivered")
PAUSE, MAX_PAUSE = 0.3, 4.0
MAX_CONCURRENT_CALLS = 32


@dataclass
class LoadDriver:
    """`ledger`, `counts` and `photos` (SHA-256 of those that were taken) are read by the checker and the report;
    `in_flight` counts unfinished purchases.
    """

    system: FaultSystem
    publisher: RetryingPublisher
    seed: int
    zone: ZoneInfo
    per_second: float
    burst: float = 1.0
    ledger: list[dict[str, Any]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    photos: set[str] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _faults: list[Exception] = field(default_factory=list)
    _calls: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_CONCURRENT_CALLS))

    @property
    def in_flight(self) -> int:
        return len(self._tasks)

    async def run(self, seconds: float, over: asyncio.Event) -> None:
        """Start purchases at the given rate for `seconds` and until `over` is set, then finish all of them.

        Raises an `ExceptionGroup` of the faults that ended purchases early: none may drop out of the ledger unseen.
        """
        begin = time.monotonic()
        async with httpx.AsyncClient(timeout=20, headers=self._authorization) as http:
            for number, offset in enumerate(workload.arrivals(self.per_second, self.burst)):
                due = begin + offset
                if due - begin > seconds and over.is_set():
                    break
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                task = asyncio.create_task(self._play_purchase(workload.purchase(self.seed, number), http))
                self._tasks.add(task)
                task.add_done_callback(self._end)
            await self._finish()

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.system.keys['storefront']}"}

    async def _finish(self) -> None:
        while self._tasks:
            await asyncio.wait(self._tasks)
        if self._faults:
            raise ExceptionGroup("purchases ended early", self._faults)

    def _end(self, purchase: asyncio.Task[None]) -> None:
        self._tasks.discard(purchase)
        fault = None if purchase.cancelled() else purchase.exception()
        if isinstance(fault, Exception):
            self._faults.append(fault)

    async def _play_purchase(self, bought: SimulatedPurchase, http: httpx.AsyncClient) -> None:
        """Publish an order, then report it."""
        rng = random.Random(f"{self.seed}:life:{bought.number}")
        self.counts["corrections"] += bought.correction != Correction.NONE
        await self._publish(bought, workload.order_events(bought, self.system.clock.now(), self.zone), rng)
        if not bought.is_reported:
            return
        await self._publish(bought, workload.events_before_report(bought, self.system.clock.now()), rng)
        await asyncio.sleep(rng.uniform(*REPORT_DELAY))
        key = f"R-{bought.order_id}"
        if bought.by_kafka:
            await self._submit(bought, key)
        else:
            await asyncio.gather(*(self._report(bought, key, http) for _ in range(1 + bought.twice)))
        if bought.again:
            await self._report(bought, f"{key}-again", http)
        if bought.shared_box:
            await self._report(bought, f"{key}-second", http, bought.quantity - bought.reported)
        if bought.photographed:
            await self._photograph(bought, key, http)
        if bought.withdrawn:
            await self._withdraw(bought, key, http, by_kafka=rng.random() < 0.5)
        await asyncio.sleep(rng.uniform(*CORRECTION_DELAY))
        await self._publish(bought, workload.later_events(bought, self.system.clock.now(), self.zone), rng)
        if bought.lost != LostParcel.NONE:
            await asyncio.sleep(rng.uniform(*FOUND_DELAY))
            found = workload.parcel_found(bought, self._issue_of(key), self.system.clock.now())
            self.counts["lost parcels found"] += len(found)
            await self._publish(bought, found, rng)

    async def _withdraw(self, bought: SimulatedPurchase, key: str, http: httpx.AsyncClient, *, by_kafka: bool) -> None:
        """Take the report back, by event or by HTTP, if its issue is known."""
        issue_id = self._issue_of(key)
        if not issue_id:
            return
        self.counts["withdrawals"] += 1
        if by_kafka:
            now = self.system.clock.now()
            taken_back = withdrawal(bought.order_id, bought.reporting_account, issue_id, now)
            event = NamedEvent("withdrawn", taken_back)
            await self._publish(bought, [event], random.Random(key))
            return
        headers, body = {"Idempotency-Key": f"{key}-withdraw"}, {"customer_id": bought.reporting_account}
        await self._post_until_answered(http, f"/v1/issues/{issue_id}/withdraw", body, headers)

    def _issue_of(self, key: str) -> str:
        known = (str(entry["issue_id"]) for entry in self.ledger if entry["key"] == key and entry.get("issue_id"))
        return next(known, "")

    async def _photograph(self, bought: SimulatedPurchase, key: str, http: httpx.AsyncClient) -> None:
        """Add a photo to the report, repeated until the evidence store has it or the issue takes no more."""
        issue_id = self._issue_of(key)
        if not issue_id:
            return
        path, picture = f"/v1/issues/{issue_id}/photos", photo_of(bought.number)
        answer = await self._until_answered(
            lambda url: http.post(url + path, files={"photos": ("photo.jpg", picture, "image/jpeg")})
        )
        self.counts[f"photos answered {answer.status_code}"] += 1
        if answer.status_code == 201:
            self.photos.update(each["sha256"] for each in answer.json()["photos"])

    async def _publish(self, bought: SimulatedPurchase, events: Iterable[NamedEvent], rng: random.Random) -> None:
        """Publish events of an order, each in a trace of its own; some of them are published twice."""
        for event in events:
            event_id = str(derived_id("faults", bought.order_id, event.name))
            key = (event.key or bought.customer_id).encode()
            trace = [("traceparent", _trace(event_id))]
            record = record_of(event.payload, event_id, "/faults/shop", self.system.clock.now(), trace, key=key)
            await self.publisher.publish(record)
            if rng.random() < 0.1:
                self.counts["duplicates"] += 1
                await self.publisher.publish(record)

    async def _submit(self, bought: SimulatedPurchase, key: str) -> None:
        submitted = IssueSubmitted.model_validate({**workload.report_body(bought), "reference": key})
        record = record_of(
            submitted, f"submitted-{key}", "/faults/shop", self.system.clock.now(), [("traceparent", _trace(key))]
        )
        for _ in range(1 + bought.twice):
            await self.publisher.publish(record)
        self.counts["duplicates"] += bought.twice
        self.ledger.append({"key": key, "order_id": bought.order_id, "channel": "kafka"})

    async def _report(
        self, bought: SimulatedPurchase, key: str, http: httpx.AsyncClient, quantity: int | None = None
    ) -> None:
        headers = {"Idempotency-Key": key, "traceparent": _trace(key).decode()}
        body = {**workload.report_body(bought, quantity), "reference": key}
        answer = await self._post_until_answered(http, "/v1/issues", body, headers)
        entry = {"key": key, "order_id": bought.order_id, "channel": "http", "status": answer.status_code}
        entry |= {"issue_id": answer.json().get("issue_id"), "code": answer.json().get("code")}
        self.ledger.append({**entry, "answered_at_ms": time.time() * 1000})

    async def _post_until_answered(
        self, http: httpx.AsyncClient, path: str, body: object, headers: dict[str, str]
    ) -> httpx.Response:
        return await self._until_answered(lambda url: http.post(url + path, json=body, headers=headers))

    async def _until_answered(self, call: Callable[[str], Awaitable[httpx.Response]]) -> httpx.Response:
        answer, pause = None, PAUSE
        while answer is None:
            async with self._calls:
                answer = await self._try(call)
            if answer is None:
                await asyncio.sleep(pause)
                pause = min(MAX_PAUSE, pause * 2)
        return answer

    async def _try(self, call: Callable[[str], Awaitable[httpx.Response]]) -> httpx.Response | None:
        """The final answer, or None where the same call must be repeated."""
        replicas = self.system.running("intake")
        if not replicas:
            return None
        try:
            answer = await call(random.choice(replicas).url)
        except httpx.HTTPError:
            self.counts["calls_repeated"] += 1
            return None
        if answer.status_code >= 500 or (code := code_of(answer)) in ("still_running", *RETRYABLE_CODES):
            self.counts["calls_repeated"] += 1
            return None
        if code is None:
            self.counts[f"answers of {answer.status_code} without JSON"] += 1
            return None
        return answer


def code_of(answer: httpx.Response) -> str | None:
    """The code of an answer, empty for one without; None if the answer is no JSON object and settles nothing."""
    try:
        body = answer.json()
    except ValueError:
        return None
    return str(body.get("code") or "") if isinstance(body, dict) else None


def _trace(key: str) -> bytes:
    number = derived_id("trace", key).hex
    return f"00-{number}-{number[:16]}-01".encode()
