"""Parts that no mail may lack, whatever its kind and language."""

import re

import pytest

from libs.common.events.values import Language
from services.delivery_notify.domain.loyalty_news import ADVERTISING
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.template_samples import SAMPLES
from services.delivery_notify.rendering.template_variables import ABOUT_NO_ORDER, ASKS_FOR_REPORT
from services.delivery_notify.rendering.texts.phrases import PHRASES
from tests.delivery_notify.conversation_driver import CALENDAR
from tests.delivery_notify.rendered_notices import FRAMED_SHOP, LINKS, sample_notice

RENDERER = Renderer(CALENDAR, LINKS, FRAMED_SHOP)
EVERY = [(case, language) for case in SAMPLES for language in Language]


@pytest.mark.parametrize(("case", "language"), EVERY)
def test_a_mail_has_subject_frame_signature_and_links(case: str, language: Language) -> None:
    content = sample_notice(case, language)
    mail = RENDERER.render(content)
    assert FRAMED_SHOP.name in mail.subject
    assert (content.order_id in mail.subject) is (content.kind not in ABOUT_NO_ORDER)
    assert re.search(r"display:none[^>]*>[^<]{15,}<", mail.html), "no preheader"
    assert f'src="{FRAMED_SHOP.logo_url}"' in mail.html
    for line in FRAMED_SHOP.signature(language):
        assert line in mail.text
        assert line in mail.html
    assert _linked(PHRASES[language].status, mail.html)
    assert _linked(PHRASES[language].report, mail.html) is (content.kind in ASKS_FOR_REPORT)
    assert bool(mail.unsubscribe_url) is (content.kind in ADVERTISING)
    assert f"background:{FRAMED_SHOP.color}" in mail.html or f"color:{FRAMED_SHOP.color}" in mail.html


@pytest.mark.parametrize(("case", "language"), EVERY)
def test_every_link_of_a_mail_is_in_its_plain_text_too(case: str, language: Language) -> None:
    mail = RENDERER.render(sample_notice(case, language))
    links = {url.replace("&amp;", "&") for url in re.findall(r'href="([^"]+)"', mail.html)}
    assert {url for url in links if url not in mail.text} == set()


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("case", ["shipped, linked", "shipped in part"])
def test_a_known_tracking_number_is_a_link(case: str, language: Language) -> None:
    assert _linked("1234-5678-9012", RENDERER.render(sample_notice(case, language)).html)


@pytest.mark.parametrize("language", Language)
def test_a_mail_of_several_notices_names_them_beside_its_subject(language: Language) -> None:
    notices = [sample_notice("promised", language), sample_notice("refunded", language)]
    html = RENDERER.render_group(notices).html
    preheader = re.search(r"display:none[^>]*>([^<]*)<", html)
    assert preheader
    for heading in re.findall(r"<h2[^>]*>([^<]*)</h2>", html):
        assert heading in preheader.group(1)


def _linked(text: str, html: str) -> bool:
    return bool(re.search(rf'<a href="https://[^"]+"[^>]*>{re.escape(text)}</a>', html))
