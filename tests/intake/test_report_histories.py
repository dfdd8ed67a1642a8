"""Random histories of the reports of one order: news, reports, photos, staff, timers, twice, late, in any order.

What holds in every one of them; the numbers are those of the invariants in the design.
"""

from collections.abc import Callable, Sequence
from copy import deepcopy
from itertools import pairwise
from typing import TypeAlias
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.decisions.facts import Fact, Ignored, SetTimer, TimerFired
from libs.common.events import issues
from libs.common.events.envelope import Payload
from libs.common.events.values import Reason, Remedy, ReportedLine, StaffAction
from services.intake.domain.decide import ReportFiled, timer_name
from services.intake.domain.issue_acceptance import ReportRefused
from services.intake.domain.orders import Stage, StoredPhoto
from services.intake.domain.pending_details import DetailsGiven
from services.intake.domain.pending_details import timer_name as details_timer
from services.intake.domain.staff_decisions import DecisionMade, StaffDecides
from tests.examples import examples
from tests.intake.evidence_stores import Shelf, of_returns, refusals
from tests.intake.reports import ORDER, cancelled, delivered, http_id, placed, said, shipped

PHOTOS = tuple(StoredPhoto(letter * 64, "image/jpeg", 100, 4, 3) for letter in "ab")
IDS = tuple(http_id(name) for name in "abcd")
ARRIVES, ENDS, GOES_ON = issues.IssueReplacementDelivered, issues.IssueCancelled, issues.IssueReopened
Happening: TypeAlias = Callable[[Shelf], Payload]

ids = st.sampled_from(IDS)
line_ids = st.sampled_from(["1", "1", "1", "2", "9"])
counts = st.integers(1, 3)
reasons = st.sampled_from([*Reason, *[Reason.DAMAGED_IN_TRANSIT, Reason.MISSING_PART] * 3])


def news(word: str, line_id: str, quantity: int) -> Happening:
    told = {
        "placed": lambda now: placed(at=now),
        "shipped": lambda now: shipped(line_id, quantity, at=now),
        "delivered": lambda now: delivered(line_id, quantity, at=now),
        "cancelled": lambda now: cancelled(*([line_id] if quantity > 1 else []), at=now),
    }
    return lambda shelf: told[word](shelf.now).data


def report(
    issue_id: UUID, by_http: bool, reason: Reason, lines: list[tuple[str, int]], complete: bool, named: bool, mine: bool
) -> Happening:
    def happening(shelf: Shelf) -> Payload:
        reported = said(
            reason=reason,
            customer_id="C-77" if mine else "C-other",
            lines=tuple(
                ReportedLine(line_id=one, quantity=count, part="lid" if complete else None) for one, count in lines
            ),
            photos=(PHOTOS[0].sha256,) if complete and PHOTOS[0].sha256 in shelf.uploads else (),
            reference="R-1" if named else None,
            issue_id=None if by_http else issue_id,
        )
        return ReportFiled(issue_id=issue_id, report=reported) if by_http else reported

    return happening


def details(issue_id: UUID, photos: bool, line_id: str | None, words: bool, most: int) -> Happening:
    given = DetailsGiven(
        issue_id=issue_id,
        order_id=ORDER,
        photos=PHOTOS if photos else (),
        parts={line_id: "lid"} if line_id else {},
        description="it hums" if words else None,
        most_photos=most,
    )
    return lambda shelf: given


def staff_says(issue_id: UUID, action: StaffAction, off: int, review: str | None, remedy: Remedy | None) -> Happening:
    """`off`: how many decisions they had not seen."""

    def happening(shelf: Shelf) -> Payload:
        version = shelf.filed[issue_id].version if issue_id in shelf.filed else 0
        return StaffDecides(
            issue_id=issue_id,
            order_id=ORDER,
            decision_id=http_id(f"{issue_id} {version} {action}"),
            action=action,
            staff="sato",
            comment="because",
            expected_version=max(0, version - off),
            review=review,
            remedy=remedy,
        )

    return happening


def timer(name: str) -> Happening:
    """One that fires although it was moved or cancelled: it was claimed just before.

    What fires was set in a transaction before: no batch both sets a timer for the first time and has it fire.
    """

    def happening(shelf: Shelf) -> Payload:
        was_set = any(isinstance(fact, SetTimer) and fact.name == name for fact in shelf.said)
        return TimerFired(name=name if was_set else "of nobody", due_at=shelf.now)

    return happening


def as_it_should_go(number: int) -> Happening:
    """What would most likely come next, so that histories get far: reports, what they lack, and what staff say."""

    def happening(shelf: Shelf) -> Payload:
        likely: list[Happening] = []
        new = next((one for one in IDS if one not in shelf.filed), None)
        if new:
            for reason in (Reason.DAMAGED_IN_TRANSIT, Reason.MISSING_PART, Reason.CHANGED_MIND):
                quantity = 2 if number % 2 else 1
                likely += [report(new, bool(number % 3), reason, [("1", quantity)], False, False, True)]
        for held in shelf.order.incomplete if shelf.order else ():
            issue_id = held.report.issue_id
            likely += [details(issue_id, True, "1", True, 50), details(issue_id, bool(number % 2), None, True, 50)]
            for action in (StaffAction.ACCEPT, StaffAction.REJECT):
                likely += [staff_says(issue_id, action, 0, None, None)]
            if held.stage is Stage.CLOSED:
                likely += [details(issue_id, True, "1", True, 50)] * 4
            if held.stage is Stage.REVIEW:
                for action in (StaffAction.APPROVE_REVIEW, StaffAction.REFUSE_REVIEW):
                    likely += [staff_says(issue_id, action, 0, "details_missing", None)]
        for issue_id, filed in shelf.filed.items():
            if filed.refusal_code:
                likely += [staff_says(issue_id, StaffAction.ACCEPT, 0, None, Remedy.REFUND)]
            else:
                likely += [staff_says(issue_id, StaffAction.REOPEN, 0, None, None)]
        return likely[number % len(likely)](shelf) if likely else news("delivered", "1", 1)(shelf).model_copy()

    return happening


right_reports = st.builds(
    report, ids, st.booleans(), reasons, st.sampled_from([[("1", 1)], [("1", 2)]]), *[st.booleans()] * 2, st.just(True)
)
happenings: st.SearchStrategy[Happening] = st.one_of(
    st.builds(news, st.sampled_from(["placed", "shipped", "delivered", "delivered", "cancelled"]), line_ids, counts),
    right_reports,
    st.builds(
        report,
        ids,
        st.booleans(),
        reasons,
        st.lists(st.tuples(line_ids, counts), min_size=1, max_size=2),
        *[st.booleans()] * 3,
    ),
    st.builds(details, ids, st.booleans(), st.none() | line_ids, st.booleans(), st.sampled_from([50, 50, 50, 1])),
    st.builds(
        staff_says,
        ids,
        st.sampled_from(StaffAction),
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from([None, "details_missing", "details_missing", "value"]),
        st.none() | st.sampled_from(Remedy),
    ),
    st.builds(timer, ids.map(timer_name) | ids.map(details_timer)),
)
likely = st.builds(as_it_should_go, st.integers(0, 60))
steps = st.one_of(
    happenings,
    likely,
    likely,
    likely,
    st.tuples(likely | happenings, likely | happenings),  # in one batch
    st.just("timer"),
    st.just("timer"),
    st.just("timer"),
    st.just("timer"),
    st.integers(1, 200),  # hours go by
    st.builds(lambda back: ("again", back), st.integers(1, 8)),  # an earlier event once more
    st.tuples(st.sampled_from([ARRIVES, ARRIVES, ENDS, GOES_ON]), st.integers(0, 3)),
    st.just("upload"),
)
beginnings = st.sampled_from([["placed", "delivered"]] * 6 + [["placed", "shipped"], []])


def tell(shelf: Shelf, start: Sequence[str], history: Sequence[object], after_each: Callable[[Shelf], None]) -> None:
    past: list[Payload] = [news(word, "1", 2)(shelf) for word in start]
    for known in past:
        shelf.take(known)
    for step in history:
        match step:
            case int(hours):
                shelf.later(hours=hours)
            case "timer" if shelf.timers:
                shelf.fire()
            case "upload":
                shelf.uploads |= {PHOTOS[0].sha256}
            case ("again", int(back)) if past:
                shelf.take(past[-min(back, len(past))])
            case (type() as kind, int(number)):
                accepted = [one for one in shelf.filed if shelf.about(one, issues.IssueAccepted)]
                if accepted:
                    shelf.tell(of_returns(kind, accepted[number % len(accepted)], shelf.now))
            case (first, second) if callable(first) and callable(second):
                past += [first(shelf), second(shelf)]
                shelf.take(*past[-2:])
            case happening if callable(happening):
                past.append(happening(shelf))
                shelf.take(past[-1])
        after_each(shelf)


def always(shelf: Shelf) -> None:
    one_entitlement_per_unit(shelf)
    in_order(shelf)
    no_silence(shelf)
    only_what_was_sent(shelf)
    costs_nothing(shelf)
    decisions_follow_each_other(shelf)


def one_entitlement_per_unit(shelf: Shelf) -> None:
    """2: each place has one live holder; what stands holds what it names, what does not stand holds nothing."""
    live = [unit for unit in shelf.held if unit not in shelf.renewed]
    assert len({(unit.line_id, unit.number) for unit in live}) == len(live)
    for issue_id, filed in shelf.filed.items():
        holds = [unit for unit, who in shelf.held.items() if who == issue_id and unit not in shelf.renewed]
        if filed.refusal_code is not None:
            assert holds == []
        elif issue_id not in shelf.released and not any(shelf.held.get(unit) == issue_id for unit in shelf.renewed):
            assert len(holds) == sum(line.quantity for line in filed.report.said.lines)


def in_order(shelf: Shelf) -> None:
    """5: reported, then asked with rising reminders, then accepted, and that once; refused and accepted in turns."""
    for issue_id in shelf.filed:
        told = shelf.about(issue_id)
        kinds = [type(fact) for fact in told]
        accepted = kinds.index(issues.IssueAccepted) if issues.IssueAccepted in kinds else None
        assert kinds.count(issues.IssueAccepted) <= 1
        before, after = told[:accepted], told[accepted + 1 :] if accepted is not None else []
        assert not [fact for fact in after if isinstance(fact, issues.IssueRejected | issues.IssueDetailsRequested)]
        if accepted is not None:
            assert any(isinstance(fact, issues.IssueReported) for fact in before)
        asked = [fact.reminder for fact in told if isinstance(fact, issues.IssueDetailsRequested)]
        assert asked == list(range(len(asked)))
        due = {fact.due_at for fact in told if isinstance(fact, issues.IssueDetailsRequested)}
        assert len(due) <= 1


def no_silence(shelf: Shelf) -> None:
    """6: what waits or is held has a timer, and no other timer is left."""
    order = shelf.order
    waiting = {timer_name(one.issue_id) for one in order.waiting} if order else set()
    lacking = [one for one in order.incomplete if one.stage is not Stage.CLOSED] if order else []
    assert waiting | {details_timer(one.report.issue_id) for one in lacking} == set(shelf.timers)
    for fact in shelf.said[-6:]:
        if isinstance(fact, issues.IssueDetailsRequested | issues.IssueReviewRequested):
            assert fact.due_at > shelf.now or fact is not shelf.said[-1]


def only_what_was_sent(shelf: Shelf) -> None:
    """7: nobody holds a piece that neither was bought and sent nor arrived as a replacement."""
    for unit, issue_id in shelf.held.items():
        moved = shelf.book().order.moved_of(unit.line_id)
        filed = shelf.filed[issue_id]
        assert unit.number <= moved.shipped_quantity
        if unit.renewal:
            assert unit._replace(renewal=unit.renewal - 1) in shelf.renewed
        elif filed.report.said.reason not in (Reason.LOST_IN_TRANSIT, Reason.MISSING_ITEM):
            assert unit.number <= moved.delivered_quantity


GIVES = (
    issues.IssueReported, issues.IssueAccepted, issues.IssueRejected, issues.IssueDetailsRequested,
    issues.IssueDetailsProvided, issues.IssueReviewRequested, issues.IssueStaffDecided,
    issues.IssueStaffDecisionApplied,
)  # fmt: skip


def costs_nothing(shelf: Shelf) -> None:
    """1 and 8: nothing is fetched, sent or charged from here; what is told are these facts and no other."""
    assert all(isinstance(fact, GIVES) for fact in shelf.said if isinstance(fact, Payload))


def decisions_follow_each_other(shelf: Shelf) -> None:
    for issue_id, filed in shelf.filed.items():
        made = [
            one.version for one in shelf.said if isinstance(one, DecisionMade) and one.decision.issue_id == issue_id
        ]
        assert made == list(range(1, filed.version + 1))
        assert len(shelf.about(issue_id, issues.IssueStaffDecided)) == filed.version


histories = st.lists(steps, min_size=8, max_size=35)


@settings(max_examples=examples(500), deadline=None)
@given(beginnings, histories)
def test_the_invariants_hold_in_every_history(start: list[str], history: list[object]) -> None:
    tell(Shelf(), start, history, always)


@settings(max_examples=examples(150), deadline=None)
@given(beginnings, histories)
def test_when_nothing_happens_something_does(start: list[str], history: list[object]) -> None:
    """Every timer asks, reminds, decides or puts before a human; nothing waits for its order for ever."""
    shelf = Shelf()
    tell(shelf, start, history, lambda _: None)
    for _ in range(25):
        if shelf.timers:
            facts = shelf.fire()
            assert any(isinstance(fact, Payload) for fact in facts)
    assert shelf.order is None or shelf.order.waiting == ()
    lacking = [one for one in shelf.order.incomplete if one.stage is not Stage.CLOSED] if shelf.order else []
    assert {one.stage for one in lacking} <= {Stage.REVIEW}


@settings(max_examples=examples(150), deadline=None)
@given(beginnings, histories, happenings)
def test_what_is_refused_or_ignored_changes_nothing(
    start: list[str], history: list[object], happening: Happening
) -> None:
    shelf = Shelf()
    tell(shelf, start, history, lambda _: None)
    before = deepcopy(shelf)
    facts = shelf.take(happening(shelf))
    if facts and all(isinstance(fact, ReportRefused | Ignored) for fact in facts):
        same = (shelf.held, shelf.timers, {issue_id: filed.version for issue_id, filed in shelf.filed.items()})
        assert same == (before.held, before.timers, {key: filed.version for key, filed in before.filed.items()})
        assert [one.stage for one in shelf.book().order.incomplete] == [
            one.stage for one in before.book().order.incomplete
        ]


def told(facts: Sequence[Fact]) -> list[Fact]:
    return [fact for fact in facts if isinstance(fact, Payload | ReportRefused | DecisionMade)]


@settings(max_examples=examples(200), deadline=None)
@given(beginnings, histories, st.lists(likely | happenings, min_size=2, max_size=4))
def test_a_batch_comes_to_the_same_as_its_events_one_by_one(
    start: list[str], history: list[object], several: list[Happening]
) -> None:
    """Calls and events that arrive together are decided on one loading: each must see what the one before it did."""
    together = Shelf()
    tell(together, start, history, lambda _: None)
    single = deepcopy(together)
    said_now = [happening(together) for happening in several]
    known = {one.issue_id for one in said_now if isinstance(one, DetailsGiven | StaffDecides)} <= set(together.filed)
    if not known:
        return  # a call about an issue looks it up before it joins a batch
    facts = together.take(*said_now)
    one_by_one = [fact for one in said_now for fact in single.take(one)]
    assert told(facts) == told(one_by_one)
    assert (together.held, together.order, together.timers) == (single.held, single.order, single.timers)


def test_the_histories_reach_every_stage_and_every_way_out() -> None:
    """The strategies above are worth nothing if they never get far; this says that they can."""
    shelf = Shelf()
    tell(
        shelf,
        ["placed", "delivered"],
        [report(IDS[0], True, Reason.DAMAGED_IN_TRANSIT, [("1", 2)], False, False, True)],
        always,
    )
    stages = [Stage.QUIET]
    while (held := shelf.issue(IDS[0])) and stages[-1] is not Stage.REVIEW:
        shelf.fire()
        stages.append(held.stage)
        always(shelf)
    assert [one for one, after in pairwise([*stages, None]) if one is not after] == [
        Stage.QUIET,
        Stage.ASKED,
        Stage.REVIEW,
    ]


def test_what_came_and_what_staff_say_at_the_same_moment_are_one_acceptance() -> None:
    """A closed report is opened by what was missing; whoever accepts it in the same batch is told that it stands."""
    shelf = Shelf()
    tell(
        shelf,
        ["placed", "delivered"],
        [report(IDS[0], True, Reason.MISSING_PART, [("1", 1)], False, False, True)],
        always,
    )
    while shelf.timers:
        shelf.fire()
    accept = staff_says(IDS[0], StaffAction.ACCEPT, 0, None, None)(shelf)
    facts = shelf.take(details(IDS[0], False, "1", False, 50)(shelf), accept)
    always(shelf)
    assert refusals(facts) == ["accepted_already"]
