"""Sample notices of every kind for the tests."""

from dataclasses import replace
from typing import Any

from libs.common.events.values import Language
from services.delivery_notify.rendering.content import NoticeContent
from services.delivery_notify.rendering.links import NoticeLinks
from services.delivery_notify.rendering.renderer import Renderer
from services.delivery_notify.rendering.shop import Shop
from services.delivery_notify.rendering.template_samples import sample_content
from tests.delivery_notify.conversation_driver import CALENDAR

LINKS = NoticeLinks("https://shop.example/notices", ["a-secret-for-tests-only"], "https://shop.example/after-sales")
RENDERER = Renderer(CALENDAR, LINKS, Shop("さきだし商店"))
FRAMED_SHOP = Shop(
    "さきだし商店",
    person="お客様係 佐藤",
    contact="03-0000-0000（平日 10時〜18時）",
    url="https://shop.example",
    logo_url="https://shop.example/logo.png",
    color="#123456",
)
"""A shop that has set all that frames a mail."""


def sample_notice(case: str, language: Language = Language.JA, **changes: Any) -> NoticeContent:
    return replace(sample_content(case, language), **changes)
