"""Routes of loyalty: what a customer has and had, and why. For the storefront and for ops, by API key."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, Request
from pydantic import AwareDatetime, BaseModel

from libs.common.events.loyalty import LegalBasis
from libs.common.events.values import Language
from libs.common.http.problems import Problem
from libs.common.runtime.service import Service
from services.loyalty.http.entry_texts import say
from services.loyalty.ledger.accounts import Kind, Place
from services.loyalty.store import queries
from services.loyalty.store.ledger import Ledger

CustomerId = Annotated[str, Path(min_length=1, max_length=128)]
NEWEST = 2**62
STATEMENT_LINES = 1000


class Expiring(BaseModel):
    """The points that expire next, and the last day on which they can be spent."""

    points: int
    expires_on: date


class Balance(BaseModel):
    """Points of one customer. `available` may be spent; `final` is that and what is `reserved`; `pending` not yet.

    `debt` is what was spent and then turned out not to be due; `total` is what the customer has after paying it.
    """

    customer_id: str
    pending: int
    available: int
    reserved: int
    final: int
    debt: int
    total: int
    spent: int
    expired: int
    at: datetime | None = None
    next_expiry: Expiring | None = None
    tier: str | None = None
    tier_until: datetime | None = None
    perks: tuple[str, ...] = ()


class LedgerEntry(BaseModel):
    """One movement of points of one grant (`lot_id`), from one account to another. `note` is for ops only."""

    number: int
    entry_id: UUID
    kind: Kind
    cause: str
    lot_id: UUID
    from_account: Place
    to_account: Place
    points: int
    text: str
    issue_id: UUID | None
    order_id: str | None
    rule: str | None
    rule_version: str | None
    legal_basis: LegalBasis | None
    counts_for_tier: bool | None
    expires_on: date | None
    staff: str | None
    note: str | None
    at: datetime


class LedgerPage(BaseModel):
    """Newest first. `next_before` is the `before` of the next page, absent on the last one."""

    customer_id: str
    entries: list[LedgerEntry]
    next_before: int | None


class StatementLine(BaseModel):
    """What the customer reads. `change` is the change of what they may spend; `pending` of what is still to come."""

    at: datetime
    text: str
    change: int
    pending: int
    available_after: int
    order_id: str | None
    expires_on: date | None


class Statement(BaseModel):
    customer_id: str
    begin: datetime
    end: datetime
    available_before: int
    lines: list[StatementLine]
    available_after: int


def routes(service: Service, ledger: Ledger) -> APIRouter:
    allowed = service.require_caller("storefront", "ops")
    router = APIRouter(prefix="/v1/customers/{customer_id}", tags=["points"], dependencies=[Depends(allowed)])

    @router.get("/balance")
    async def balance(
        customer_id: CustomerId,
        at: Annotated[AwareDatetime | None, Query(description="As it stood at this moment; now, if absent.")] = None,
    ) -> Balance:
        """Nobody is unknown here: a customer without points has none."""
        async with service.pool.acquire() as conn:
            held = await queries.balance_of(conn, customer_id, at)
            if at is not None:
                return _balance(customer_id, held, at=at)
            expiry, member = await queries.next_expiry(conn, customer_id), await queries.member(conn, customer_id)
        tier = ledger.terms.rules.tier(member["tier"] if member else "")
        return _balance(
            customer_id,
            held,
            next_expiry=Expiring(**dict(expiry)) if expiry else None,
            tier=tier.name if tier else None,
            tier_until=member["until"] if member else None,
            perks=tier.perks if tier else (),
        )

    @router.get("/entries")
    async def entries(
        request: Request,
        customer_id: CustomerId,
        before: Annotated[int, Query(ge=1, le=NEWEST)] = NEWEST,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> LedgerPage:
        async with service.pool.acquire() as conn:
            rows = await queries.page_of(conn, customer_id, before, limit)
        page = [LedgerEntry.model_validate(_seen_by(request.state.caller, dict(row))) for row in rows]
        more = len(page) == limit and page[-1].number > 1
        return LedgerPage(customer_id=customer_id, entries=page, next_before=page[-1].number if more else None)

    @router.get("/statement")
    async def statement(
        customer_id: CustomerId,
        begin: Annotated[AwareDatetime | None, Query(description="90 days ago, if absent.")] = None,
        end: Annotated[AwareDatetime | None, Query(description="Now, if absent.")] = None,
        language: Language = Language.JA,
    ) -> Statement:
        """What happened in a period, in the customer's words; at most a thousand lines, else 422."""
        until = end or service.clock.now() + timedelta(seconds=1)
        since = begin or until - timedelta(days=90)
        if since >= until:
            raise Problem(422, "period_is_empty", "begin: must be before end")
        async with service.pool.acquire() as conn:
            rows = await queries.period_of(conn, customer_id, since, until, STATEMENT_LINES + 1)
            held = await queries.balance_of(conn, customer_id, since - timedelta(microseconds=1))
        if len(rows) > STATEMENT_LINES:
            raise Problem(422, "period_too_long", f"begin: more than {STATEMENT_LINES} lines; ask for a shorter period")
        return _statement(customer_id, since, until, held["available"], [dict(row) for row in rows], language)

    return router


def _balance(customer_id: str, held: dict[str, int], **more: Any) -> Balance:
    final = held["available"] + held["reserved"]
    return Balance(
        customer_id=customer_id,
        pending=held["pending"],
        available=held["available"],
        reserved=held["reserved"],
        final=final,
        debt=-held["debt"],
        total=held["pending"] + final + held["debt"],
        spent=held["spent"],
        expired=held["expired"],
        **more,
    )


def _seen_by(caller: str, row: dict[str, Any]) -> dict[str, Any]:
    """The private note, and who wrote it, stay with ops."""
    return row if caller == "ops" else {**row, "note": None, "staff": None}


def _statement(
    customer_id: str, begin: datetime, end: datetime, before: int, rows: list[dict[str, Any]], language: Language
) -> Statement:
    lines, available = [], before
    for row in rows:
        change, pending = (_change(row, place) for place in (Place.AVAILABLE, Place.PENDING))
        available += change
        lines.append(
            StatementLine(
                at=row["at"].astimezone(UTC),
                text=say(row["text"], language, row["order_id"]),
                change=change,
                pending=pending,
                available_after=available,
                order_id=row["order_id"],
                expires_on=row["expires_on"],
            )
        )
    return Statement(
        customer_id=customer_id, begin=begin, end=end, available_before=before, lines=lines, available_after=available
    )


def _change(row: dict[str, Any], place: Place) -> int:
    """What an entry does to an account."""
    sign = (row["to_account"] == place) - (row["from_account"] == place)
    return int(row["points"] * sign)
