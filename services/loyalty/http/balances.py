"""Balance of a customer, now or at a past moment, and perks. For the storefront and staff, by API key."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from libs.common.events.loyalty.titles import title_of
from libs.common.events.values import Language, UtcTime
from libs.common.events.values.people import LanguageTag
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


class Perk(BaseModel):
    """A perk, with its title in the requested language."""

    code: str
    title: str


class Perks(BaseModel):
    """Tier of a customer and the perks that come with it."""

    customer_id: str
    tier: str | None = None
    tier_title: str | None = None
    tier_until: datetime | None = None
    perks: tuple[Perk, ...] = ()


@router.get("/perks")
async def perks(
    service: CurrentService,
    ledger: CurrentLedger,
    customer_id: CustomerId,
    language: Annotated[LanguageTag, Query(description="BCP 47 tag of the titles' language.")] = Language.JA,
) -> Perks:
    """Return the perks that the customer may use now; those of the first tier for an unknown customer."""
    async with service.pool.acquire() as conn:
        membership = await queries.membership(conn, await current_customer(conn, customer_id))
    rules = ledger.rules.award
    tier = rules.tier(membership["tier"] if membership else "")
    if tier is None:
        return Perks(customer_id=customer_id)
    titles = rules.titles_of(tier.name, *tier.perks)
    return Perks(
        customer_id=customer_id,
        tier=tier.name,
        tier_title=title_of(tier.name, titles, language),
        tier_until=membership["until"] if membership else None,
        perks=tuple(Perk(code=code, title=title_of(code, titles, language)) for code in tier.perks),
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
