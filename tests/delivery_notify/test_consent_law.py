"""Consent law per market as tables: meaning of silence, its deadline, and the due date of refunds."""

from datetime import date, timedelta

import pytest

from libs.common.events.notices import DecidedBy, NoticeKind
from libs.common.events.values import Choice
from services.delivery_notify.policy.consent_law import (
    ConsentClock,
    Delay,
    Element,
    SilenceEffect,
    law_of,
    laws,
    refund_due,
    required_elements,
    start_consent_clock,
    statutory_promise,
)
from tests.delivery_notify.conversation_driver import CALENDAR, RULES, at

PROMISED = date(2027, 3, 5)
NOW = at(PROMISED, 9)
SPEAKS = at(date(2027, 3, 12), 18)


def clock(market: str, days: int | None, *, repeated: bool = False, patient: bool = False) -> ConsentClock:
    """The clock of a slip of the first promise by so many days (None: nobody knows)."""
    revised = None if days is None else PROMISED + timedelta(days=days)
    return start_consent_clock(market, Delay(PROMISED, PROMISED, revised, repeated, patient), NOW, SPEAKS, RULES)


def test_a_first_definite_delay_of_thirty_days_is_consented_to_by_silence_until_the_new_day() -> None:
    found = clock("US", 30)
    assert (found.terms.silence_means, found.default, found.answer_by) == (SilenceEffect.CONSENTS, Choice.WAIT, SPEAKS)


@pytest.mark.parametrize("days", [31, 90, None])
def test_a_longer_or_unknown_delay_is_cancelled_by_silence_thirty_days_after_the_promise(days: int | None) -> None:
    found = clock("US", days)
    assert (found.terms.silence_means, found.default, found.default_reason) == (
        SilenceEffect.CANCELS,
        Choice.CANCEL,
        DecidedBy.DEADLINE,
    )
    assert (found.answer_by, found.vests_on) == (at(date(2027, 4, 5), 0), date(2027, 4, 4))


@pytest.mark.parametrize("days", [1, 7, None])
def test_a_repeated_delay_is_cancelled_by_silence_and_the_refund_counts_from_the_broken_day(days: int | None) -> None:
    found = clock("US", days, repeated=True)
    assert (found.default, found.default_reason, found.vests_on) == (Choice.CANCEL, DecidedBy.SILENCE, PROMISED)
    assert found.answer_by == NOW + timedelta(days=3)


def test_a_later_notice_does_not_put_off_the_end_of_an_earlier_one() -> None:
    lapses_at = at(date(2027, 3, 7), 0)
    slip = Delay(PROMISED, PROMISED, None, repeated=True, lapses_at=lapses_at)
    assert start_consent_clock("US", slip, NOW, SPEAKS, RULES).answer_by == lapses_at


def test_who_agreed_to_wait_without_a_date_is_not_cancelled_by_silence() -> None:
    assert clock("US", None, repeated=True, patient=True).default is Choice.WAIT


@pytest.mark.parametrize("market", ["DE", "FR", "JP", "BR", "GB"])
@pytest.mark.parametrize("days", [7, 60, None])
@pytest.mark.parametrize("repeated", [True, False])
def test_elsewhere_silence_never_cancels(market: str, days: int | None, repeated: bool) -> None:
    found = clock(market, days, repeated=repeated)
    assert (found.terms.silence_means, found.default) == (SilenceEffect.CONSENTS, Choice.WAIT)
    assert found.answer_by >= NOW + timedelta(days=1)


@pytest.mark.parametrize(
    ("begins", "due"),
    [
        (date(2027, 3, 5), date(2027, 3, 16)),  # a Friday: seven weekdays
        (date(2027, 11, 23), date(2027, 12, 3)),  # over Thanksgiving, the 25th
        (date(2028, 2, 25), date(2028, 3, 7)),  # over a leap day
        (date(2027, 12, 29), date(2028, 1, 10)),  # New Year's Day is a Saturday, kept on Friday the 31st
    ],
)
def test_a_prompt_refund_is_seven_working_days_of_the_united_states(begins: date, due: date) -> None:
    assert refund_due("US", begins, CALENDAR) == due


def test_european_money_is_back_within_a_week_and_japanese_on_japanese_working_days() -> None:
    assert refund_due("DE", PROMISED, CALENDAR) == PROMISED + timedelta(days=7)
    assert refund_due("JP", date(2027, 4, 28), CALENDAR) == date(2027, 5, 13)  # over Golden Week


@pytest.mark.parametrize(("market", "days"), [("US", 30), ("DE", 30), ("JP", None), ("BR", None)])
def test_where_nothing_was_promised_the_law_may_have_a_day(market: str, days: int | None) -> None:
    assert statutory_promise(market, PROMISED) == (PROMISED + timedelta(days=days) if days else None)


def test_every_law_names_its_source_and_its_version() -> None:
    assert all(law.source and law.version for law in laws().values())


def test_a_japanese_notice_of_acceptance_has_its_seven_fields() -> None:
    seven = {
        Element.ACCEPTANCE,
        Element.SELLER,
        Element.AMOUNT_RECEIVED,
        Element.RECEIVED_ON,
        Element.PRODUCT,
        Element.QUANTITY,
        Element.DELIVERY_TIME,
    }
    assert required_elements("JP", NoticeKind.ORDER_ACCEPTED) == seven
    assert required_elements("JP", NoticeKind.ORDER_DELAYED, prepaid=True) > seven
    assert not required_elements("JP", NoticeKind.ORDER_DELAYED) & seven


@pytest.mark.parametrize("market", ["US", "DE", "JP", "BR"])
@pytest.mark.parametrize("kind", [NoticeKind.ORDER_DELAYED, NoticeKind.ORDER_OVERDUE])
def test_every_notice_of_delay_states_what_silence_means_and_how_to_cancel(market: str, kind: NoticeKind) -> None:
    assert {Element.WHAT_SILENCE_MEANS, Element.RIGHT_TO_CANCEL} <= required_elements(market, kind)


def test_the_markets_of_the_union_have_one_law() -> None:
    assert law_of("DE") == law_of("IE") != law_of("GB")
