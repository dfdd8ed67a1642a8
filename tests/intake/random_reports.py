"""Strategies of random histories of the reports of one order: events, reports, photos, staff and timers."""

from collections.abc import Callable, Sequence
from typing import TypeAlias
from uuid import UUID

from hypothesis import strategies as st

from libs.common.decisions.facts import SetTimer, TimerFired
from libs.common.events import issues
from libs.common.events.envelope import Payload
from libs.common.events.values import Reason, Remedy, ReportedLine, StaffAction
from services.intake.domain.commands import ProvideDetails, RecordStaffDecision, SubmitReport
from services.intake.domain.orders import PendingStage, StoredPhoto
from services.intake.domain.pending_details import timer_name as details_timer
from services.intake.domain.submissions import timer_name
from tests.intake.event_builders import ORDER, cancelled, delivered, http_id, placed, shipped, submission
from tests.intake.in_memory_store import InMemoryStore, returns_event

PHOTOS = tuple(StoredPhoto(letter * 64, "image/jpeg", 100, 4, 3) for letter in "ab")
IDS = tuple(http_id(name) for name in "abcd")
ARRIVES: type[issues.IssueEvent] = issues.IssueReplacementDelivered
ENDS: type[issues.IssueEvent] = issues.IssueCancelled
GOES_ON: type[issues.IssueEvent] = issues.IssueReopened
EventFactory: TypeAlias = Callable[[InMemoryStore], Payload]
ids = st.sampled_from(IDS)
line_ids = st.sampled_from(["1", "1", "1", "2", "9"])
counts = st.integers(1, 3)
reasons = st.sampled_from([*Reason, *[Reason.DAMAGED_IN_TRANSIT, Reason.MISSING_PART] * 3])


def order_event(kind: str, line_id: str, quantity: int) -> EventFactory:
    by_kind = {
        "placed": lambda now: placed(at=now),
        "shipped": lambda now: shipped(line_id, quantity, at=now),
        "delivered": lambda now: delivered(line_id, quantity, at=now),
        "cancelled": lambda now: cancelled(*([line_id] if quantity > 1 else []), at=now),
    }
    return lambda store: by_kind[kind](store.now).data


def report(
    issue_id: UUID, by_http: bool, reason: Reason, lines: list[tuple[str, int]], complete: bool, named: bool, mine: bool
) -> EventFactory:
    def factory(store: InMemoryStore) -> Payload:
        reported = submission(
            reason=reason,
            customer_id="C-77" if mine else "C-other",
            lines=tuple(
                ReportedLine(line_id=line_id, quantity=count, part="lid" if complete else None)
                for line_id, count in lines
            ),
            photos=(PHOTOS[0].sha256,) if complete and PHOTOS[0].sha256 in store.uploads else (),
            reference="R-1" if named else None,
            issue_id=None if by_http else issue_id,
        )
        return SubmitReport(issue_id=issue_id, report=reported) if by_http else reported

    return factory


def details(issue_id: UUID, photos: bool, line_id: str | None, words: bool, most: int) -> EventFactory:
    given = ProvideDetails(
        issue_id=issue_id,
        order_id=ORDER,
        photos=PHOTOS if photos else (),
        parts={line_id: "lid"} if line_id else {},
        description="it hums" if words else None,
        max_photos=most,
    )
    return lambda store: given


def staff_decision(
    issue_id: UUID, action: StaffAction, off: int, review: str | None, remedy: Remedy | None
) -> EventFactory:
    """Decide on a version that is `off` decisions old."""

    def factory(store: InMemoryStore) -> Payload:
        version = store.filed[issue_id].version if issue_id in store.filed else 0
        return RecordStaffDecision(
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

    return factory


def timer(name: str) -> EventFactory:
    """Fire a timer although it was moved or cancelled: it was claimed just before.

    A timer fires only if an earlier transaction set it: no batch both sets a timer for the first time and fires it.
    """

    def factory(store: InMemoryStore) -> Payload:
        was_set = any(isinstance(fact, SetTimer) and fact.name == name for fact in store.facts)
        return TimerFired(name=name if was_set else timer_name(UUID(int=0)), due_at=store.now)

    return factory


def likely_next_event(number: int) -> EventFactory:
    """Draw a likely next step, so that histories get far: reports, missing details and staff decisions."""

    def factory(store: InMemoryStore) -> Payload:
        likely: list[EventFactory] = []
        new = next((issue_id for issue_id in IDS if issue_id not in store.filed), None)
        if new:
            for reason in (Reason.DAMAGED_IN_TRANSIT, Reason.MISSING_PART, Reason.CHANGED_MIND):
                quantity = 2 if number % 2 else 1
                likely += [report(new, bool(number % 3), reason, [("1", quantity)], False, False, True)]
        for held in store.order.awaiting_details if store.order else ():
            issue_id = held.report.issue_id
            likely += [details(issue_id, True, "1", True, 50), details(issue_id, bool(number % 2), None, True, 50)]
            for action in (StaffAction.ACCEPT, StaffAction.REJECT):
                likely += [staff_decision(issue_id, action, 0, None, None)]
            if held.stage is PendingStage.CLOSED:
                likely += [details(issue_id, True, "1", True, 50)] * 4
            if held.stage is PendingStage.REVIEW:
                for action in (StaffAction.APPROVE_REVIEW, StaffAction.REFUSE_REVIEW):
                    likely += [staff_decision(issue_id, action, 0, "details_missing", None)]
        for issue_id, filed in store.filed.items():
            if filed.refusal_code:
                likely += [staff_decision(issue_id, StaffAction.ACCEPT, 0, None, Remedy.REFUND)]
            else:
                likely += [staff_decision(issue_id, StaffAction.REOPEN, 0, None, None)]
        return likely[number % len(likely)](store) if likely else order_event("delivered", "1", 1)(store).model_copy()

    return factory


right_reports = st.builds(
    report, ids, st.booleans(), reasons, st.sampled_from([[("1", 1)], [("1", 2)]]), *[st.booleans()] * 2, st.just(True)
)
factories: st.SearchStrategy[EventFactory] = st.one_of(
    st.builds(
        order_event, st.sampled_from(["placed", "shipped", "delivered", "delivered", "cancelled"]), line_ids, counts
    ),
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
        staff_decision,
        ids,
        st.sampled_from(StaffAction),
        st.sampled_from([0, 0, 0, 1]),
        st.sampled_from([None, "details_missing", "details_missing", "value"]),
        st.none() | st.sampled_from(Remedy),
    ),
    st.builds(timer, ids.map(timer_name) | ids.map(details_timer)),
)
likely = st.builds(likely_next_event, st.integers(0, 60))
steps = st.one_of(
    factories,
    likely,
    likely,
    likely,
    st.tuples(likely | factories, likely | factories),  # in one batch
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


def run_history(
    store: InMemoryStore, start: Sequence[str], history: Sequence[object], after_each: Callable[[InMemoryStore], None]
) -> None:
    past: list[Payload] = [order_event(kind, "1", 2)(store) for kind in start]
    for payload in past:
        store.take(payload)
    for step in history:
        match step:
            case int(hours):
                store.advance(hours=hours)
            case "timer" if store.timers:
                store.fire()
            case "upload":
                store.uploads |= {PHOTOS[0].sha256}
            case ("again", int(back)) if past:
                store.take(past[-min(back, len(past))])
            case (type() as kind, int(number)):
                accepted = [issue_id for issue_id in store.filed if store.events_of(issue_id, issues.IssueAccepted)]
                if accepted:
                    store.apply(returns_event(kind, accepted[number % len(accepted)], store.now))
            case (first, second) if callable(first) and callable(second):
                past += [first(store), second(store)]
                store.take(*past[-2:])
            case factory if callable(factory):
                past.append(factory(store))
                store.take(past[-1])
        after_each(store)


histories = st.lists(steps, min_size=8, max_size=35)
