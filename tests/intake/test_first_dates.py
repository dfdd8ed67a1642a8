"""The first date of a replacement on the customer's page: the warehouse's, or the day by which it follows."""

from libs.common.events.notices import PromiseRef, PromiseSubject
from libs.common.events.values import Reason
from services.intake.customer_pages.milestones import milestones
from tests.intake.case_events import observed
from tests.intake.test_progress import in_days, progress


def test_a_replacement_without_a_date_shows_the_day_by_which_it_follows() -> None:
    case = observed(Reason.DEFECTIVE)
    ships = {each.code: each for each in milestones(case.timeline, case.status)}["shipped"]
    assert (ships.expected_on, ships.known_by) == (None, None)
    named = in_days(case, 2)
    ref = PromiseRef(subject=PromiseSubject.REPLACEMENT_DATE, subject_id=str(case.replacement_id), version=1, day=named)
    case.observe(case.sample("notice.sent.v1", issue_id=case.ids["issue_id"], announces=(ref,), supersedes=()))
    ships = {each.code: each for each in milestones(case.timeline, case.status)}["shipped"]
    assert (ships.expected_on, ships.known_by) == (None, named)
    case.confirm(in_days(case, 3))
    assert progress(case)["shipped"] == in_days(case, 3)
