"""Signed links: valid for one purpose, until they expire, while their secret is configured."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks

NOW = datetime(2027, 3, 10, 3, tzinfo=UTC)
LATER = NOW + timedelta(days=1)
NEW, OLD = "the-newest-secret-for-tests", "an-older-secret-for-tests"
LINKS = SignedLinks([NEW, OLD])


@given(st.sampled_from(Purpose), st.lists(st.text(max_size=40), max_size=4))
def test_a_link_says_what_it_was_made_for(purpose: Purpose, subject: list[str]) -> None:
    assert LINKS.read_until(purpose, LINKS.token(purpose, LATER, *subject), NOW) == tuple(subject)


@pytest.mark.parametrize("purpose", Purpose)
def test_a_link_opens_nothing_but_what_it_was_made_for(purpose: Purpose) -> None:
    token = LINKS.token(purpose, LATER, "O-1")
    for other in set(Purpose) - {purpose}:
        with pytest.raises(LinkInvalidError):
            LINKS.read(other, token)


def test_a_link_ends_with_its_time() -> None:
    with pytest.raises(LinkInvalidError, match="expired"):
        LINKS.read_until(Purpose.STATUS, LINKS.token(Purpose.STATUS, NOW, "i"), NOW)


def test_a_link_signed_with_an_older_secret_still_opens_and_new_ones_are_signed_with_the_newest() -> None:
    assert LINKS.read(Purpose.STATUS, SignedLinks([OLD]).token(Purpose.STATUS, LATER, "i")).subject == ("i",)
    assert SignedLinks([NEW]).read(Purpose.STATUS, LINKS.token(Purpose.STATUS, LATER, "i")).subject == ("i",)


def test_a_link_signed_with_a_secret_that_was_dropped_is_refused() -> None:
    with pytest.raises(LinkInvalidError):
        SignedLinks([NEW]).read(Purpose.STATUS, SignedLinks([OLD]).token(Purpose.STATUS, LATER, "i"))


@given(st.text(max_size=200))
def test_what_is_not_one_of_ours_is_refused(token: str) -> None:
    with pytest.raises(LinkInvalidError):
        LINKS.read(Purpose.UPLOAD, token)


@given(st.data())
def test_a_changed_link_is_refused(data: st.DataObject) -> None:
    token = LINKS.token(Purpose.REPORT, LATER, "O-1", "C-1")
    at = data.draw(st.integers(0, len(token) - 2))  # the last character holds bits that no decoder looks at
    other = data.draw(st.sampled_from([c for c in "abcXYZ019._-" if c != token[at]]))
    with pytest.raises(LinkInvalidError):
        LINKS.read(Purpose.REPORT, token[:at] + other + token[at + 1 :])
