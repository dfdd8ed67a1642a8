"""The list of issues over HTTP: everything for ops; for the storefront the issues of the customer it names."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, AwareDatetime, BaseModel

from libs.common.events.values import Reason, ReportedLine
from libs.common.http.problems import PROBLEM_RESPONSE, Problem
from services.intake.http.commands import IntakeCommands
from services.intake.projections.issue_status import IssueStatus
from services.intake.store.search import CursorError, IssueFilter, find_issues


class IssueSummary(BaseModel):
    """One issue of a list. `overdue`: the shop owes a decision and has passed its own target for it."""

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
    """`next` is the `after` of the following page; none: this is the last."""

    issues: list[IssueSummary]
    next: str | None


def _in_reach(moment: datetime) -> datetime:
    if not 2000 <= moment.year < 2200:
        raise ValueError("name a moment between the years 2000 and 2199")
    return moment


Text = Annotated[str | None, Query(min_length=1, max_length=128)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_reach)]
Words = Annotated[
    str | None, Query(min_length=1, max_length=128, description="An id of any kind, else words of the customer.")
]


def routes(calls: IntakeCommands) -> APIRouter:
    service = calls.service
    router = APIRouter(prefix="/v1/issues", tags=["issues"], responses=PROBLEM_RESPONSE)

    @router.get("", response_model=IssueList)
    async def list_issues(
        caller: Annotated[str, Depends(service.require_caller("storefront", "ops"))],
        status: IssueStatus | None = None,
        reason: Reason | None = None,
        sku: Text = None,
        customer_id: Text = None,
        order_id: Text = None,
        since: Annotated[Moment | None, Query(alias="from", description="Reported at this moment or later.")] = None,
        until: Annotated[Moment | None, Query(alias="to", description="Reported before this moment.")] = None,
        q: Words = None,
        overdue: bool = False,
        after: Annotated[str | None, Query(max_length=200, description="`next` of the page before.")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> dict[str, Any]:
        """Issues, newest first. The storefront names the customer on whose behalf it asks."""
        if caller == "storefront" and customer_id is None:
            raise Problem(422, "customer_missing", "customer_id: name the customer on whose behalf you ask.")
        wanted = IssueFilter(status, reason, sku, customer_id, order_id, since, until, q, overdue, after, limit)
        try:
            async with service.pool.acquire() as conn:
                page = await find_issues(conn, wanted, service.clock.now())
        except CursorError as error:
            raise Problem(422, "cursor_invalid", f"{error}.", field="after") from error
        return {"issues": page.issues, "next": page.next}

    return router
