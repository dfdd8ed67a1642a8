"""Subject, signature, links and colours around the text of a notice."""

import re
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from libs.common.events.values import Language, Reason
from libs.common.http.signed_links import Purpose, SignedLinks
from libs.common.web.colors import DEFAULT_COLOR, check_color
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.texts.phrases import PHRASES
from services.delivery_notify.settings import NotifySettings
from tests.delivery_notify.conversation_driver import CALENDAR
from tests.delivery_notify.rendered_notices import FRAMED_SHOP, LINKS, RENDERER, sample_notice


def load_settings(**changes: Any) -> NotifySettings:
    return NotifySettings.model_validate(
        {
            "database_url": "postgresql://x",
            "kafka_bootstrap_servers": "127.0.0.1:1",
            "smtp_url": "discard://",
            "mail_from": "shop@example.jp",
            "public_url": "https://shop.example",
            "link_secrets": "a-secret-for-tests-only",
            **changes,
        }
    )


@pytest.mark.parametrize(
    ("case", "language", "subject"),
    [
        ("promised", Language.JA, "【さきだし商店】交換品は2027年3月12日(金)に発送いたします(ご注文 O-2027-0301)"),
        (
            "promised",
            Language.EN,
            "[さきだし商店] Your replacement ships on Friday, 12 March 2027 (order O-2027-0301)",
        ),
        ("points expiring", Language.JA, "【さきだし商店】549ポイントの有効期限は2027年3月12日(金)です"),
        (
            "accepted, part",
            Language.JA,
            "【さきだし商店】不足しておりました部品を2027年3月12日(金)に発送いたします(ご注文 O-2027-0301)",
        ),
    ],
)
def test_a_subject_names_shop_fact_and_order(case: str, language: Language, subject: str) -> None:
    assert RENDERER.render(sample_notice(case, language)).subject == subject


def test_several_notices_have_one_subject_that_names_the_shop() -> None:
    rendered = RENDERER.render_group([sample_notice("order early"), sample_notice("order accepted")])
    assert rendered.subject == "【さきだし商店】2件のお知らせ"


@pytest.mark.parametrize(
    ("language", "lines"),
    [
        (
            Language.JA,
            [
                "さきだし商店",
                "担当：お客様係 佐藤",
                "お問い合わせ：03-0000-0000（平日 10時〜18時）",
                "https://shop.example",
            ],
        ),
        (
            Language.EN,
            [
                "さきだし商店",
                "Customer care: お客様係 佐藤",
                "Contact: 03-0000-0000（平日 10時〜18時）",
                "https://shop.example",
            ],
        ),
    ],
)
def test_a_mail_ends_with_the_signature_of_the_shop(language: Language, lines: list[str]) -> None:
    rendered = Renderer(CALENDAR, LINKS, FRAMED_SHOP).render(sample_notice("promised", language))
    assert rendered.text.strip().splitlines()[-4:] == lines
    assert "<br>\n".join(lines) in rendered.html


def test_logo_and_colour_of_the_shop_frame_the_mail() -> None:
    html = Renderer(CALENDAR, LINKS, FRAMED_SHOP).render(sample_notice("promised")).html
    assert '<img src="https://shop.example/logo.png" alt="さきだし商店"' in html
    assert "background:#123456" in html
    assert DEFAULT_COLOR not in html


def test_markup_in_the_name_of_a_shop_is_text() -> None:
    html = Renderer(CALENDAR, LINKS, replace(FRAMED_SHOP, name="<b>A & B</b>")).render(sample_notice("promised")).html
    assert "<b>A" not in html


@pytest.mark.parametrize(("color", "valid"), [("#2f5d50", True), ("#767676", True), ("#777777", False), ("red", False)])
def test_white_text_stays_readable_on_the_colour_of_a_shop(color: str, valid: bool) -> None:
    if valid:
        assert load_settings(shop_color=color).shop_color == check_color(color)
    else:
        with pytest.raises(ValidationError, match=r"contrast of 4\.\d|#rrggbb"):
            load_settings(shop_color=color)


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.CHANGED_MIND}))
def test_an_apology_names_what_the_customer_reported(reason: Reason, language: Language) -> None:
    content = sample_notice("accepted, later", language)
    text = RENDERER.render(replace(content, facts=replace(content.facts, reason=reason))).text
    before, after = PHRASES[language].apology.split("{report}")
    apology = next(line for line in text.splitlines() if before in line and after in line)
    assert "青い急須" in apology
    others = [RENDERER.render(replace(content, facts=replace(content.facts, reason=other))).text for other in Reason]
    assert sum(apology in other for other in others) == 1


@pytest.mark.parametrize("language", Language)
def test_nobody_apologises_for_a_changed_mind(language: Language) -> None:
    assert not re.search("申し訳|sorry", RENDERER.render(sample_notice("accepted, collection", language)).text)


def test_a_tracking_number_links_to_the_page_of_its_carrier() -> None:
    rendered = RENDERER.render(sample_notice("shipped, linked"))
    url = "https://jizen.kuronekoyamato.co.jp/jizen/servlet/crjz.b.NQ0010?id=123456789012"
    assert f'<a href="{url}" class="link" style="color:inherit">1234-5678-9012</a>' in rendered.html
    assert f"お問い合わせ番号: 1234-5678-9012\n{url}\n" in rendered.text
    assert "配送会社: ヤマト運輸\n" in rendered.text


def test_a_tracking_number_cannot_bring_a_link_of_its_own() -> None:
    content = sample_notice("shipped")
    facts = replace(content.facts, tracking_number="1|https://evil.example", carrier="a|b")
    assert "href" not in "".join(re.findall(r"<td.*?</td>", RENDERER.render(replace(content, facts=facts)).html))


def test_a_warned_buyer_is_led_to_the_report_form_of_the_order() -> None:
    text = RENDERER.render(sample_notice("warned, part")).text
    token = re.search(r"https://shop\.example/after-sales/r/(\S+)", text)
    assert token
    link = SignedLinks(["a-secret-for-tests-only"]).read(Purpose.REPORT, token.group(1))
    assert link.subject == ("O-2027-0301", "C-301", "ja")
    assert "ご返信" not in text


def test_the_first_sentence_stands_beside_the_subject_in_a_list_of_mails() -> None:
    html = RENDERER.render(sample_notice("promised")).html
    assert re.search(r"display:none[^>]*>交換のお品の発送日が決まりましたので、お知らせいたします。<", html)


@pytest.mark.parametrize("case", ["promised", "resolved"])
def test_the_status_page_is_a_button_and_beside_a_choice_a_link(case: str) -> None:
    button = r'<a href="https://shop\.example/after-sales/s/[^"]+" class="button"'
    assert re.search(button, RENDERER.render(sample_notice(case)).html)
    assert not re.search(button, RENDERER.render(sample_notice("choice, restock")).html)


def test_beside_the_button_to_the_report_form_the_status_page_is_a_link() -> None:
    html = RENDERER.render(sample_notice("change overtaken, cancel")).html
    assert re.search(r'<a href="https://shop\.example/after-sales/r/[^"]+" class="button"', html)
    assert re.search(r'<a href="https://shop\.example/after-sales/s/[^"]+" class="link"', html)
