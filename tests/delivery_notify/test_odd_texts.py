"""Odd names in every notice and language: none, long, right to left, markup, template syntax, line breaks."""

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from markupsafe import escape

from libs.common.decisions.ids import derived_id
from libs.common.events import issues as ev
from libs.common.events.values import IssueLine, Language
from services.delivery_notify.channels.channel import MessageDraft
from services.delivery_notify.channels.line import MAX_TEXT_LENGTH, line_channel
from services.delivery_notify.channels.smtp import MailEncoder
from services.delivery_notify.domain.issues import PLAN_DELAY
from services.delivery_notify.domain.notices import NoticeLine
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.rendering.template_samples import SAMPLES
from services.delivery_notify.rendering.texts import phrases
from services.delivery_notify.rendering.texts.phrases import PHRASES
from tests.delivery_notify.conversation_driver import MONDAY, PRICE, drive, issue, line, placed
from tests.delivery_notify.rendered_notices import RENDERER, sample_notice

NAMES = [
    "山" * 300,
    "W" * 2000,
    "محمد علي",
    "\u202eevil\u202c",
    "👨\u200d👩\u200d👧\u200d👦 家族",
    "e\u0301 (decomposed)",
    "<b>&amp;</b>",
    "{{ 7 * 7 }} {% raw %}",
    "{items} {order_id} %s",
    "a|b|https://evil.example/",
    "O'Brien; DROP TABLE notices",
]
EVERY_LANGUAGE = pytest.mark.parametrize("language", Language)
EVERY_KIND = pytest.mark.parametrize("case", SAMPLES)


def named(case: str, language: Language, name: str) -> NoticeContent:
    """A sample notice whose customer and items have this name."""
    sample = sample_notice(case, language, recipient_name=name)
    lines = tuple(replace(each, name=name, stage_detail=name) for each in sample.facts.lines)
    return replace(sample, facts=replace(sample.facts, lines=lines), last_purchased_item=name)


@EVERY_LANGUAGE
@EVERY_KIND
def test_a_notice_takes_any_name_as_text_on_one_line(case: str, language: Language) -> None:
    for name in NAMES:
        rendered = RENDERER.render(named(case, language, name))
        shown = " ".join(name.replace("|", "/").split())
        assert phrases.greeting(shown, language) in rendered.text.splitlines(), name
        assert str(escape(shown)) in rendered.html, name
        assert "\n" not in rendered.subject, name


@EVERY_LANGUAGE
@EVERY_KIND
def test_a_notice_greets_a_customer_without_a_name(case: str, language: Language) -> None:
    for name in ("", " ", "\u3000", "\n"):
        rendered = RENDERER.render(sample_notice(case, language, recipient_name=name))
        greeting = PHRASES[language].greeting["unnamed"]
        assert rendered.text.startswith(f"{greeting}\n")
        assert greeting in rendered.html


@EVERY_LANGUAGE
@EVERY_KIND
def test_a_notice_with_any_name_is_one_mail_to_one_address(case: str, language: Language) -> None:
    for number, name in enumerate(NAMES):
        key = derived_id("notice", number)
        rendered = RENDERER.render(named(case, language, name))
        draft = MessageDraft(key, name, "hanako@例え.テスト", language, datetime.now(UTC), rendered)
        parsed = message_from_bytes(MailEncoder(("Shop", "shop@example.jp")).encode(draft).content, policy=policy.SMTP)
        (to,) = parsed["To"].addresses
        assert (to.username, "\n" in parsed["Subject"]) == ("hanako", False), name


@EVERY_LANGUAGE
@EVERY_KIND
def test_a_message_to_line_is_never_longer_than_line_takes(case: str, language: Language) -> None:
    channel = line_channel("token", "https://line.example")
    for name in ("短い", "長" * 5000):
        draft = MessageDraft(
            derived_id("n", 1), name, "U-1", language, MONDAY, RENDERER.render(named(case, language, name))
        )
        sent = channel.encode(draft).content.decode()
        assert len(sent.encode("utf-16-le")) // 2 < MAX_TEXT_LENGTH + 500


@EVERY_LANGUAGE
def test_a_group_takes_any_name_in_each_of_its_notices(language: Language) -> None:
    for name in NAMES:
        contents = [named(case, language, name) for case in ("order delayed", "refunded", "preorder")]
        rendered = RENDERER.render_group(contents)
        assert rendered.html.count(str(escape(" ".join(name.replace("|", "/").split())))) >= 2, name
        assert "\n" not in rendered.subject, name


@EVERY_LANGUAGE
def test_a_name_cannot_bring_a_link_or_a_row_of_its_own(language: Language) -> None:
    plain = RENDERER.render(named("order delayed", language, "a")).html
    odd = RENDERER.render(named("order delayed", language, "a|b|https://evil.example/\nc|d")).html
    assert (odd.count("<tr>"), odd.count("<a ")) == (plain.count("<tr>"), plain.count("<a "))


def test_an_item_without_a_name_is_named_by_its_number() -> None:
    driver = drive(placed(line(name=" ")))
    assert [each.name for each in driver.conversation.lines] == ["SKU-1"]


def test_a_reported_item_without_a_name_is_named_by_its_number() -> None:
    unnamed = IssueLine.model_construct(line_id="1", quantity=1, sku="SKU-1", name="", part=None, unit_price=PRICE)
    driver = drive(placed(), issue(ev.IssueAccepted).model_copy(update={"lines": (unnamed,)}))
    driver.advance_to(MONDAY + PLAN_DELAY)
    assert [each.name for each in driver.notices[-1].facts.lines] == ["SKU-1"]


@pytest.mark.parametrize(
    ("language", "items"),
    [(Language.JA, "湯のみ × 2、急須"), (Language.EN, "湯のみ × 2, 急須")],
)
def test_several_items_are_listed_with_the_quantities_above_one(language: Language, items: str) -> None:
    sample = sample_notice("order delayed", language)
    lines = (NoticeLine("湯のみ", 2), NoticeLine("急須", 1))
    rendered = RENDERER.render(replace(sample, facts=replace(sample.facts, lines=lines)))
    assert items in rendered.text
