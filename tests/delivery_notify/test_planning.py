"""Send plan: routes, groups, deferrals and suppressions of a claimed batch."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

import pytest

from libs.common.decisions.ids import derived_id
from services.delivery_notify.sending.messages import OutgoingMessage, SendPlan
from services.delivery_notify.sending.planning import ContactPolicy, SendPlanner, started
from services.delivery_notify.store.notice_outcomes import Completed, Deferred, Rescheduled
from services.delivery_notify.store.notice_queue import ClaimedNotice, StartedNotice
from tests.delivery_notify.claimed_notices import HANAKO, LINE, MAIL, claimed
from tests.delivery_notify.conversation_driver import CALENDAR, at

DAY = date(2027, 3, 1)
NOON, NIGHT = at(DAY, 12), at(DAY, 23)
PLANNER = SendPlanner(("email", "line", "sms"), CALENDAR, ContactPolicy())
LIKES_LINE = replace(HANAKO, preferred=("line",))


def plan(notices: Sequence[ClaimedNotice], now: datetime = NOON, planner: SendPlanner = PLANNER) -> SendPlan:
    return planner.plan(notices, now, ())


def test_each_notice_is_one_message_in_the_order_of_the_claim() -> None:
    first, second = claimed(1), claimed(2, contact=LIKES_LINE)
    assert plan([first, second]).messages == [OutgoingMessage((first,), MAIL), OutgoingMessage((second,), LINE)]


def test_an_empty_claim_is_an_empty_plan() -> None:
    assert plan([]) == SendPlan()


@pytest.mark.parametrize(
    ("notice", "cause"),
    [
        (claimed(1, withdrawn="shipped"), "shipped"),
        (claimed(1, withdrawn="shipped", contact=None), "shipped"),
        (claimed(1, contact=None), "contact_unknown"),
        (claimed(1, failed_channels=("email", "line", "sms")), "no_channel_left"),
    ],
)
def test_a_notice_without_a_route_is_suppressed_with_its_cause(notice: ClaimedNotice, cause: str) -> None:
    suppressed = plan([notice])
    assert suppressed.suppressed == [(notice, Completed(notice.notice_id, "suppressed", cause=cause))]
    assert suppressed.messages == []


def test_a_notice_in_quiet_hours_is_deferred_to_their_end() -> None:
    notice = claimed(1, contact=LIKES_LINE)
    assert plan([notice], NIGHT).deferred == [
        Deferred(notice.notice_id, at(date(2027, 3, 2), 8), "quiet_hours", batched=False)
    ]


def test_the_hours_of_the_contact_policy_are_the_quiet_hours() -> None:
    planner = replace(PLANNER, policy=ContactPolicy(quiet_hours=(0, 0)))
    assert [message.route for message in plan([claimed(1, contact=LIKES_LINE)], NIGHT, planner).messages] == [LINE]


def test_the_cap_of_the_contact_policy_defers_a_notice_that_can_wait() -> None:
    planner = replace(PLANNER, policy=ContactPolicy(max_messages_per_day=1))
    (deferred,) = plan([claimed(1, kind="refunded", recent_messages=1)], NOON, planner).deferred
    assert (deferred.until, deferred.batched) == (at(date(2027, 3, 2), 9), True)


def test_a_promise_that_ends_in_the_night_is_superseded_by_mail_at_once() -> None:
    notice = claimed(1, contact=LIKES_LINE, facts='{"previous_day": "2027-03-01"}')
    assert [message.route for message in plan([notice], NIGHT).messages] == [MAIL]


@pytest.mark.parametrize("facts", ['{"previous_day": "some day"}', "not json", '{"previous_day": null}'])
def test_facts_without_a_readable_date_are_routed_like_any_other_notice(facts: str) -> None:
    assert len(plan([claimed(1, contact=LIKES_LINE, facts=facts)], NIGHT).deferred) == 1


def test_held_notices_to_one_customer_on_one_route_are_one_message() -> None:
    first, second = claimed(1, batched=True), claimed(2, batched=True)
    other = claimed(3, batched=True, customer_id="C-2")
    alone, *_ = messages = plan([first, second, other, claimed(4)]).messages
    assert [len(message.notices) for message in messages] == [1, 2, 1]
    assert (alone.notices[0].batched, messages[1].notices) == (False, (first, second))


def test_a_group_has_an_id_that_follows_from_its_members() -> None:
    group = [claimed(1, batched=True), claimed(2, batched=True)]
    (first,), (again,), (larger,) = (
        plan(notices).messages for notices in (group, group, [*group, claimed(3, batched=True)])
    )
    assert first.group_id == again.group_id != larger.group_id


def test_a_group_of_one_needs_no_id() -> None:
    assert [message.group_id for message in plan([claimed(1, batched=True)]).messages] == [None]


def test_a_repeated_group_keeps_its_id() -> None:
    group_id = derived_id("group", 1)
    notices = [claimed(number, batched=True, batch_id=group_id, notices_in_batch=2) for number in range(2)]
    assert [message.group_id for message in plan(notices).messages] == [group_id]


def test_a_repeated_group_that_lacks_a_member_waits_without_an_attempt() -> None:
    notice = claimed(1, batched=True, batch_id=derived_id("group", 1), notices_in_batch=2)
    waiting = plan([notice])
    assert waiting.messages == []
    assert [(entry.notice_id, entry.counts) for entry in waiting.rescheduled] == [(notice.notice_id, False)]
    assert isinstance(waiting.rescheduled[0], Rescheduled)


def test_the_route_and_the_group_of_every_member_are_stored_before_sending() -> None:
    group = [claimed(1, batched=True, contact=LIKES_LINE), claimed(2, batched=True, contact=LIKES_LINE)]
    planned = plan(group)
    group_id = planned.messages[0].group_id
    assert started(planned) == [StartedNotice(notice.notice_id, "line", group_id) for notice in group]


def test_channels_with_a_long_outage_are_the_last_choice() -> None:
    planned = PLANNER.plan([claimed(1, contact=LIKES_LINE)], NOON, frozenset({"line"}))
    assert [message.route for message in planned.messages] == [MAIL]


def test_a_message_without_a_contact_cannot_be_drafted() -> None:
    with pytest.raises(ValueError, match="contact: missing"):
        _ = OutgoingMessage((claimed(1, contact=None),), MAIL).contact
