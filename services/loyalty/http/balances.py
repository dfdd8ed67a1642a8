"""Balance of a customer, now or at a past moment. For the storefront and staff, by API key."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from libs.common.events.values import UtcTime
from libs.common.http.api_keys import require_caller
from libs.common.privacy.customer_merges import current_customer
from libs.common.runtime.dependencies import CurrentService
from services.loyalty.http.dependencies import CurrentLedger, CustomerId
from services.loyalty.store import queries

router = APIRouter(
    prefix="/v1/customers/{customer_id:path}",
    tags=["points"],
    dependencies=[Depends(require_caller("storefront", "ops"))],
)


class Expiring(BaseModel):
    """The points that expire next, and the last day on which they can be spent."""

    points: int
    expires_on: date


class Balance(BaseModel):
    """Points of one customer. `available` can be spent; `final` is `available` plus `reserved`; `pending` is on hold.

    `debt` is points that were spent and then reversed; `total` is what remains after paying it.
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


@router.get("/balance")
async def balance(
    service: CurrentService,
    ledger: CurrentLedger,
    customer_id: CustomerId,
    at: Annotated[UtcTime | None, Query(description="Balance at this moment; default: now.")] = None,
) -> Balance:
    """Return the balance; zero for an unknown customer."""
    async with service.pool.acquire() as conn:
        account = await current_customer(conn, customer_id)
        points = await queries.balance_of(conn, account, at)
        if at is not None:
            return _balance(customer_id, points, at=at)
        expiry = await queries.next_expiry(conn, account)
        membership = await queries.membership(conn, account)
    tier = ledger.rules.award.tier(membership["tier"] if membership else "")
    return _balance(
        customer_id,
        points,
        next_expiry=Expiring(**dict(expiry)) if expiry else None,
        tier=tier.name if tier else None,
        tier_until=membership["until"] if membership else None,
        perks=tier.perks if tier else (),
    )


def _balance(customer_id: str, points: dict[str, int], **details: Any) -> Balance:
    final = points["available"] + points["reserved"]
    return Balance(
        customer_id=customer_id,
        pending=points["pending"],
        available=points["available"],
        reserved=points["reserved"],
        final=final,
        debt=-points["debt"],
        total=points["pending"] + final + points["debt"],
        spent=points["spent"],
        expired=points["expired"],
        **details,
    )
