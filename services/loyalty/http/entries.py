"""Ledger entries and statements of a customer. For the storefront and staff, by API key."""

from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel

from libs.common.events.loyalty import LegalBasis
from libs.common.events.values import Language, UtcTime
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import Problem
from libs.common.privacy.customer_merges import current_customer
from libs.common.runtime.dependencies import CurrentService
from services.loyalty.http.dependencies import CustomerId
from services.loyalty.http.entry_texts import entry_text
from services.loyalty.ledger.entries import EntryKind, LedgerAccount
from services.loyalty.store import queries

MAX_NUMBER = 2**62
MAX_STATEMENT_LINES = 1000

router = APIRouter(
    prefix="/v1/customers/{customer_id:path}",
    tags=["points"],
    dependencies=[Depends(require_caller("storefront", "ops"))],
)


class LedgerEntry(BaseModel):
    """One movement of points of one grant (`lot_id`) between two accounts. `staff` and `note` are for ops only."""

    number: int
    entry_id: UUID
    kind: EntryKind
    cause: str
    lot_id: UUID
    from_account: LedgerAccount
    to_account: LedgerAccount
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
    """Newest first. `next_before` is the `before` of the next page; null on the last page."""

    customer_id: str
    entries: list[LedgerEntry]
    next_before: int | None


class StatementLine(BaseModel):
    """One line for the customer. `change` applies to available points, `pending` to points on hold."""

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


@router.get("/entries")
async def entries(
    service: CurrentService,
    request: Request,
    customer_id: CustomerId,
    before: Annotated[int, Query(ge=1, le=MAX_NUMBER)] = MAX_NUMBER,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> LedgerPage:
    async with service.pool.acquire() as conn:
        rows = await queries.page_of(conn, await current_customer(conn, customer_id), before, limit)
    page = [LedgerEntry.model_validate(_visible_to(request.state.caller, dict(row))) for row in rows]
    more = len(page) == limit and page[-1].number > 1
    return LedgerPage(customer_id=customer_id, entries=page, next_before=page[-1].number if more else None)


@router.get("/statement")
async def statement(
    service: CurrentService,
    customer_id: CustomerId,
    begin: Annotated[UtcTime | None, Query(description="Default: 90 days before the end.")] = None,
    end: Annotated[UtcTime | None, Query(description="Default: now.")] = None,
    language: Language = Language.JA,
) -> Statement:
    """Return the entries of a period with texts in the customer's language; 422 for more than 1,000 lines."""
    until = end or service.clock.now() + timedelta(seconds=1)
    since = begin or until - timedelta(days=90)
    if since >= until:
        raise Problem(422, "empty_period", "begin: is not before end; choose an earlier begin")
    async with service.pool.acquire() as conn:
        account = await current_customer(conn, customer_id)
        rows = await queries.period_of(conn, account, since, until, MAX_STATEMENT_LINES + 1)
        before = await queries.balance_of(conn, account, since - timedelta(microseconds=1))
    if len(rows) > MAX_STATEMENT_LINES:
        detail = f"begin: more than {MAX_STATEMENT_LINES} lines in this period; choose a later begin"
        raise Problem(422, "period_too_long", detail)
    available = before["available"]
    lines = _lines([dict(row) for row in rows], available, language)
    return Statement(
        customer_id=customer_id,
        begin=since,
        end=until,
        available_before=available,
        lines=lines,
        available_after=lines[-1].available_after if lines else available,
    )


def _visible_to(caller: str, row: dict[str, Any]) -> dict[str, Any]:
    """Remove the private note and its author for callers other than ops."""
    return row if caller == "ops" else {**row, "note": None, "staff": None}


def _lines(rows: list[dict[str, Any]], available: int, language: Language) -> list[StatementLine]:
    lines = []
    for row in rows:
        change, pending = (_change(row, account) for account in (LedgerAccount.AVAILABLE, LedgerAccount.PENDING))
        available += change
        line = StatementLine(
            at=row["at"].astimezone(UTC),
            text=entry_text(row["text"], language, row["order_id"]),
            change=change,
            pending=pending,
            available_after=available,
            order_id=row["order_id"],
            expires_on=row["expires_on"],
        )
        lines.append(line)
    return lines


def _change(row: dict[str, Any], account: LedgerAccount) -> int:
    """Return the change of this account by an entry."""
    sign = (row["to_account"] == account) - (row["from_account"] == account)
    return int(row["points"] * sign)
