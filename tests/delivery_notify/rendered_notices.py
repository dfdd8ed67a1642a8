"""Letters of every kind for the tests, from the samples that the linter has."""

from typing import Any

from libs.common.events.values import Language
from services.delivery_notify.rendering.links import CustomerLinks
from services.delivery_notify.rendering.renderer import NoticeContent, Renderer
from services.delivery_notify.rendering.template_samples import DAY, LINES, SAMPLES, sample_content
from tests.delivery_notify.conversation_driver import CALENDAR

LINKS = CustomerLinks("https://shop.example/notices", ["a-secret-for-tests-only"], "https://shop.example/after-sales")
RENDERER = Renderer(CALENDAR, LINKS, "さきだし商店")

__all__ = ["DAY", "FACTS", "LINES", "LINKS", "RENDERER", "letter"]

FACTS = SAMPLES


def letter(case: str, language: Language = Language.JA, **more: Any) -> NoticeContent:
    return sample_content(case, language, **more)
