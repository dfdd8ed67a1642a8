"""Letters of every kind for the tests, from the samples that the linter has."""

from typing import Any

from libs.common.events.values import Language
from services.delivery_notify.rendering.links import Links
from services.delivery_notify.rendering.renderer import Letter, Renderer
from services.delivery_notify.rendering.template_samples import DAY, SAMPLES, THINGS, sample
from tests.delivery_notify.conversation_driver import CALENDAR

LINKS = Links("https://shop.example/notices", ["a-secret-for-tests-only"], "https://shop.example/after-sales")
RENDERER = Renderer(CALENDAR, LINKS, "さきだし商店")

__all__ = ["DAY", "FACTS", "LINKS", "RENDERER", "THINGS", "letter"]

FACTS = SAMPLES


def letter(case: str, language: Language = Language.JA, **more: Any) -> Letter:
    return sample(case, language, **more)
