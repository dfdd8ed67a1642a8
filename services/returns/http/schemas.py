"""Request bodies and response documents of the case routes."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from libs.common.events.values import Identifier, Money, Remedy, StaffAction
from services.returns.domain.commands import CauseText
from services.returns.domain.state.case import Case
from services.returns.domain.state.case_status import case_status
from services.returns.domain.state.exposure import CustomerExposure
from services.returns.domain.state.unit_report import unit_report
from services.returns.store.documents import CASE_DOCUMENT, EXPOSURE_DOCUMENT

CommentText = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)]


class StrictBody(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReviewDecisionBody(StrictBody):
    approved: bool = Field(description="true: apply what the review proposes; false: refuse it.")
    staff: Identifier = Field(default="ops", description="Who decides.")
    comment: CommentText = Field(default="decided over HTTP", description="Shown in the issue's timeline.")


class CancelCaseBody(StrictBody):
    cause: CauseText


class ReopenCaseBody(StrictBody):
    cause: CauseText
    remedy: Remedy | None = Field(default=None, description="Another remedy than before.")


class AssignCountBody(StrictBody):
    as_other_item: bool = Field(
        default=False, description="true: count the box although it holds no article of the case, and review the case."
    )


class SettleCountBody(StrictBody):
    staff: Identifier = Field(description="Who settles it.")
    comment: CommentText = Field(description="What was done with the box.")


class StaffDecisionBody(StrictBody):
    action: StaffAction
    review: Annotated[str, StringConstraints(max_length=100)] | None = Field(
        default=None, description="Cause of the review to approve or refuse."
    )
    remedy: Remedy | None = Field(default=None, description="Remedy to choose, or to reopen with.")
    staff: Identifier = Field(description="Who decides.")
    comment: CommentText


def case_document(case: Case) -> dict[str, Any]:
    """Return a case with its derived status and the counted units by line."""
    derived = {"status": case_status(case), "quantities": unit_report(case)}
    return {**derived, **CASE_DOCUMENT.dump_python(case, mode="json")}


def exposure_document(exposure: CustomerExposure, currency: str) -> dict[str, Any]:
    """Return the exposure of a customer with its total in one currency."""
    total = Money(amount=exposure.exposure_in(currency), currency=currency)
    return {"exposure": total.model_dump(mode="json"), **EXPOSURE_DOCUMENT.dump_python(exposure, mode="json")}
