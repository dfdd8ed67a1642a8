"""List of issues over HTTP: all for ops; for the storefront those of the customer that it names."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel

from libs.common.events.values import Reason, ReportedLine
from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from libs.common.runtime.dependencies import CurrentService
from services.intake.domain.projections.issue_status import IssueStatus
from services.intake.store.search import CursorError, IssueFilter, find_issues


class IssueSummary(BaseModel):
    """One issue of a list. `overdue`: the shop has missed its own target for the decision."""

    issue_id: UUID
    order_id: str
    customer_id: str
    reason: Reason
    lines: list[ReportedLine]
    skus: list[str]
    status: IssueStatus
    missing: list[str]
    reference: str | None
    reported_at: datetime
    decide_by: datetime | None
    decided_at: datetime | None
    overdue: bool | None


class IssueList(BaseModel):
    """`next` is the `after` of the next page; null on the last page."""

    issues: list[IssueSummary]
    next: str | None


def _in_range(moment: datetime) -> datetime:
    if not 2000 <= moment.year < 2200:
        raise ValueError("must be between the years 2000 and 2199")
    return moment


Text = Annotated[str | None, Query(min_length=1, max_length=128)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_range)]
SearchText = Annotated[
    str | None, Query(min_length=1, max_length=128, description="An id of any kind, else text of the customer.")
]


router = APIRouter(prefix="/v1/issues", tags=["issues"], responses=PROBLEM_RESPONSE)


@router.get("", response_model=IssueList)
async def list_issues(
    service: CurrentService,
    caller: Annotated[str, Depends(require_caller("storefront", "ops"))],
    status: IssueStatus | None = None,
    reason: Reason | None = None,
    sku: Text = None,
    customer_id: Text = None,
    order_id: Text = None,
    since: Annotated[Moment | None, Query(alias="from", description="Reported at this moment or later.")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="Reported before this moment.")] = None,
    q: SearchText = None,
    overdue: bool = False,
    after: Annotated[str | None, Query(max_length=200, description="`next` of the previous page.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> dict[str, Any]:
    """List issues, newest first. The storefront names the customer on whose behalf it asks."""
    if caller == "storefront" and customer_id is None:
        raise Problem(422, "customer_missing", "customer_id: missing; name the customer on whose behalf you ask.")
    criteria = IssueFilter(status, reason, sku, customer_id, order_id, since, until, q, overdue, after, limit)
    try:
        async with service.pool.acquire() as conn:
            page = await find_issues(conn, criteria, service.clock.now())
    except CursorError as error:
        raise Problem(422, "cursor_invalid", f"{error}.", field="after") from error
    return {"issues": page.issues, "next": page.next}
