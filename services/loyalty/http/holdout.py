"""Result of the holdout experiment: whether apology points bring customers back."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel

from libs.common.http.api_keys import require_caller
from libs.common.http.problems import PROBLEM_RESPONSE
from libs.common.runtime.dependencies import CurrentService
from services.loyalty.domain.holdout import CONFIDENCE, CONTROL, TREATMENT, newcombe_interval, wilson_interval
from services.loyalty.http.dependencies import CurrentLedger
from services.loyalty.store import queries

METHOD = (
    "Newcombe 1998, Statistics in Medicine 17:873-890, method 10, of Wilson 1927 intervals; by assigned arm, "
    "customers followed for the whole period only"
)

router = APIRouter(
    prefix="/v1", tags=["ops"], dependencies=[Depends(require_caller("ops"))], responses=PROBLEM_RESPONSE
)


class ExperimentArm(BaseModel):
    """Customers of one arm and how many of them `reordered`; `low` and `high` bound the share."""

    customers: int
    reordered: int
    share: float | None
    low: float
    high: float


class ShareDifference(BaseModel):
    """Share of the treatment arm minus share of the control arm, with the bounds of its 95 % interval."""

    value: float | None
    low: float
    high: float


class HoldoutReport(BaseModel):
    """Both arms: `treatment` gets apology points, `control` gets apologies without points."""

    experiment: str
    enabled: bool
    held_out_share: float
    follow_up_days: int
    confidence: float
    treatment: ExperimentArm
    control: ExperimentArm
    difference: ShareDifference
    method: str


@router.get("/loyalty/holdout")
async def holdout(
    service: CurrentService,
    ledger: CurrentLedger,
    days: Annotated[int, Query(ge=1, le=730, description="Follow-up.")] = 90,
) -> HoldoutReport:
    """Compare the share of customers with another order in both arms, with confidence intervals."""
    experiment = ledger.rules.holdout
    async with service.pool.acquire() as conn:
        arms = await queries.holdout(conn, experiment.experiment, service.clock.now(), timedelta(days=days))
    treatment, control = _arm(arms[TREATMENT]), _arm(arms[CONTROL])
    bounds = newcombe_interval(arms[TREATMENT], arms[CONTROL])
    return HoldoutReport(
        experiment=experiment.experiment,
        enabled=experiment.enabled,
        held_out_share=experiment.share,
        follow_up_days=days,
        confidence=CONFIDENCE,
        treatment=treatment,
        control=control,
        difference=ShareDifference(value=_difference(treatment, control), low=bounds.low, high=bounds.high),
        method=METHOD,
    )


def _arm(counts: tuple[int, int]) -> ExperimentArm:
    reordered, customers = counts
    bounds = wilson_interval(reordered, customers)
    share = reordered / customers if customers else None
    return ExperimentArm(customers=customers, reordered=reordered, share=share, low=bounds.low, high=bounds.high)


def _difference(treatment: ExperimentArm, control: ExperimentArm) -> float | None:
    if treatment.share is None or control.share is None:
        return None
    return treatment.share - control.share
