"""Texts of staff notices (`<language>/staff.toml`): event, order, instruction. No personal data."""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import ConfigDict

from libs.common.events.values import Language
from services.delivery_notify.channels.channel import RenderedMessage
from services.delivery_notify.domain.staff_notices import StaffKind
from services.delivery_notify.rendering.texts.reading import read_texts


@dataclass(frozen=True, slots=True)
class StaffPhrases:
    """Subject and instruction of each kind of notice, and names of the changes that customers request."""

    __pydantic_config__: ClassVar = ConfigDict(extra="forbid")

    subjects: Mapping[StaffKind, str]
    instructions: Mapping[StaffKind, str]
    requested: Mapping[str, str]


_PHRASES = read_texts(StaffPhrases, "staff")


@dataclass(frozen=True, slots=True)
class StaffTexts:
    language: Language
    shop: str

    def render(self, kind: str, facts: Mapping[str, str]) -> RenderedMessage:
        """Raises `ValueError` for an unknown kind and `KeyError` for a missing fact."""
        known, texts = StaffKind(kind), _PHRASES[self.language]
        requested = texts.requested.get(facts.get("requested", ""))
        named = {**facts, "requested": requested} if requested else facts
        subject = texts.subjects[known].format_map(named)
        rows = [f"{name}: {value}" for name, value in sorted(facts.items())]
        text = "\n".join([texts.instructions[known], "", *rows]) + "\n"
        page = f"<!doctype html><html lang={self.language}><meta charset=utf-8><pre>{html.escape(text)}</pre></html>"
        return RenderedMessage(subject, text, page, subject)
