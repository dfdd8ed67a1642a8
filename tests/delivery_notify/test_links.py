"""Signed links in notices: their paths, their expiry and their purpose."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from libs.common.http.signed_links import LinkInvalidError, Purpose, SignedLinks
from services.delivery_notify.rendering.links import CHOICE_READABLE_FOR, PAGE_LINK_LIFETIME, NoticeLinks

SECRETS = ["a-secret-for-tests-only"]
LINKS = NoticeLinks("https://shop.example/notices/", SECRETS, "https://shop.example/after-sales/")
NOW = datetime(2027, 3, 1, tzinfo=UTC)
ISSUE = uuid4()


def token_of(url: str) -> str:
    return url.rpartition("/")[2]


def test_a_choice_link_opens_its_question_for_a_while_after_the_deadline() -> None:
    choice_id = uuid4()
    url = LINKS.choice_url("O-1", choice_id, NOW)
    link = LINKS.read_choice(token_of(url))
    assert url.startswith("https://shop.example/notices/c/")
    assert (link.order_id, link.choice_id, link.expires_at) == ("O-1", choice_id, NOW + CHOICE_READABLE_FOR)


@pytest.mark.parametrize(
    ("url", "path", "purpose"),
    [
        (LINKS.status_url(ISSUE, NOW), "/after-sales/s/", Purpose.STATUS),
        (LINKS.survey_url(ISSUE, NOW), "/after-sales/v/", Purpose.SURVEY),
    ],
)
def test_a_page_link_opens_one_page_of_one_issue(url: str, path: str, purpose: Purpose) -> None:
    link = SignedLinks(SECRETS).read(purpose, token_of(url))
    assert path in url
    assert (link.subject, link.expires_at) == ((str(ISSUE),), NOW + PAGE_LINK_LIFETIME)


def test_without_the_address_of_the_pages_no_notice_links_to_them() -> None:
    links = NoticeLinks("https://shop.example", SECRETS)
    assert (links.status_url(ISSUE, NOW), links.survey_url(ISSUE, NOW)) == ("", "")


@pytest.mark.parametrize("purpose", [Purpose.STATUS, Purpose.SURVEY, Purpose.UPLOAD])
def test_a_link_to_another_page_answers_no_question(purpose: Purpose) -> None:
    token = SignedLinks(SECRETS).token(purpose, NOW + timedelta(days=1), "O-1", uuid4().hex)
    with pytest.raises(LinkInvalidError):
        LINKS.read_choice(token)


@pytest.mark.parametrize("subject", [(), ("O-1",), ("O-1", "no-uuid"), ("O-1", uuid4().hex, "more")])
def test_a_choice_link_with_another_content_is_invalid(subject: tuple[str, ...]) -> None:
    token = SignedLinks(SECRETS).token(Purpose.CHOICE, NOW, *subject)
    with pytest.raises(LinkInvalidError):
        LINKS.read_choice(token)
