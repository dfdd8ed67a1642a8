"""Minimal service for tests of the common library: counts cancelled orders and publishes each count as points."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, TypeAdapter

from libs.common.config.settings import ServiceSettings, load
from libs.common.decisions.facts import CancelTimer, Fact, Facts, Record, SetTimer, TimerFired
from libs.common.decisions.ids import derived_id
from libs.common.events.loyalty import PointsExpired
from libs.common.events.payment import RefundFailed
from libs.common.events.registry import AnyEvent
from libs.common.events.storefront import OrderCancelled
from libs.common.http.api_keys import require_caller
from libs.common.http.idempotency import IdempotencyKey, idempotency_key
from libs.common.http.problems import Answer, Problem
from libs.common.postgres.pool import Connection
from libs.common.postgres.state_table import StateTable
from libs.common.runtime.service import Service


@dataclass(frozen=True, slots=True)
class Tally:
    key: str
    causes: tuple[str, ...] = ()
    version: int = 0


def decide(state: Tally | None, event: AnyEvent, now: datetime) -> tuple[Tally | None, Facts]:
    match event.data:
        case OrderCancelled(cause="poison"):
            raise ValueError("this one cannot be taken")
        case OrderCancelled(order_id=key, cause=cause):
            return _count(state or Tally(key), cause or "", now)
        case TimerFired():
            return _count(state or Tally(event.subject or ""), "timer", now)
    return state, ()


def _count(state: Tally, cause: str, now: datetime) -> tuple[Tally, Facts]:
    after = replace(state, causes=(*state.causes, cause))
    facts: list[Fact] = [_points(after, cause, now)]
    if cause == "set-timer":
        facts.append(SetTimer("again", now + timedelta(milliseconds=50)))
    if cause == "set-due-timer":
        facts.append(SetTimer("again", now))
    if cause == "cancel-timer":
        facts.append(CancelTimer("again"))
    return after, facts


def _points(state: Tally, cause: str, now: datetime) -> PointsExpired:
    count = len(state.causes)
    return PointsExpired(
        customer_id=state.key, entry_id=derived_id("tally", state.key, count), points=count, cause=cause, expired_at=now
    )


@dataclass
class Tallies:
    table: StateTable[Tally] = field(default_factory=lambda: StateTable("tallies", TypeAdapter(Tally)))
    name: str = "tallies"
    is_read_model = False

    def key_of(self, event: AnyEvent) -> str | None:
        return getattr(event.data, "order_id", None)

    async def load(self, conn: Connection, keys: Sequence[str], events: Sequence[AnyEvent]) -> dict[str, Tally]:
        loaded = await self.table.load(conn, keys)
        return {key: replace(state, version=version) for key, (version, state) in loaded.items()}

    def decide(self, state: Tally | None, event: AnyEvent, now: datetime) -> tuple[Tally | None, Facts]:
        return decide(state, event, now)

    async def save(self, conn: Connection, changed: Mapping[str, Tally], records: Sequence[Record]) -> None:
        await self.table.save(conn, {key: (state.version, state) for key, state in changed.items()})


SCHEMA = """CREATE TABLE tallies (key text PRIMARY KEY, version bigint NOT NULL, body jsonb NOT NULL)"""


class Cancelling(BaseModel):
    order_id: str
    cause: str


def counted(facts: Facts) -> Answer:
    if not facts:
        raise Problem(422, "nothing_counted", "cause: this counts for nothing.")
    return Answer(202, {"count": next(f.points for f in facts if isinstance(f, PointsExpired))})


class Refunds(Tallies):
    """Counts failed refunds, as a second aggregate with a topic of its own."""

    def key_of(self, event: AnyEvent) -> str | None:
        return f"refund-{event.data.issue_id}" if isinstance(event.data, RefundFailed) else None

    def decide(self, state: Tally | None, event: AnyEvent, now: datetime) -> tuple[Tally | None, Facts]:
        assert isinstance(event.data, RefundFailed)
        return _count(state or Tally(self.key_of(event) or ""), event.data.cause, now)


def create_app_with_refunds(settings: ServiceSettings | None = None) -> FastAPI:
    app = create_app(settings)
    app.state.service.add_aggregate(Refunds(name="refunds"), RefundFailed)
    return app


def create_app(settings: ServiceSettings | None = None) -> FastAPI:
    settings = settings or load(ServiceSettings)
    service = Service("loyalty", settings, description="Counts cancelled orders.", publishes=(PointsExpired,))
    tallies = Tallies()
    service.add_aggregate(tallies, OrderCancelled)
    routes = APIRouter()

    @routes.post("/cancellations", dependencies=[Depends(require_caller("storefront"))])
    async def cancel(body: Cancelling, key: Annotated[IdempotencyKey, Depends(idempotency_key)]) -> JSONResponse:
        payload = OrderCancelled(order_id=body.order_id, cause=body.cause, cancelled_at=service.clock.now())
        answer = await service.execute(tallies, service.event(payload), idempotency=key, answer=counted)
        return answer.response()

    return service.create_app(routes)
