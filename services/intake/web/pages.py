"""Pages: templates, with words in the reader's language and times in the shop's zone."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from libs.common.events.values import Language
from services.intake.web.assets import Assets
from services.intake.web.translations import Words

_MOMENT = {Language.JA: "M月d日(E) HH:mm", Language.EN: "d MMM, HH:mm"}
_DAY = {Language.JA: "y年M月d日(E)", Language.EN: "EEEE, d MMMM y"}
_SHARED = Path(__file__).parent / "templates"


class Pages:
    """The templates of one folder, with what they share."""

    def __init__(self, folder: Path, words: Words, assets: Assets, zone: ZoneInfo) -> None:
        self.words, self._assets, self._zone = words, assets, zone
        self._environment = Environment(
            loader=FileSystemLoader([folder, _SHARED]),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals["asset"] = assets.url

    def html(
        self,
        template: str,
        language: Language,
        values: Mapping[str, Any],
        headers: Mapping[str, str],
        status: int = 200,
    ) -> HTMLResponse:
        return HTMLResponse(self.text(template, language, values), status, headers)

    def text(self, template: str, language: Language, values: Mapping[str, Any]) -> str:
        told = Telling(self.words, language, self._zone)
        return self._environment.get_template(template).render(
            {"t": told.say, "name": told.name, "when": told.when, "day": told.day, "span": told.span, "lang": language}
            | dict(values)
        )


class Telling:
    """How one page says things: bound to its language."""

    def __init__(self, words: Words, language: Language, zone: ZoneInfo) -> None:
        self._words, self._language, self._zone = words, language, zone

    def say(self, key: str, **values: object) -> str:
        return self._words.say(key, self._language, **values)

    def name(self, kind: str, value: object) -> str:
        return self._words.name(kind, value, self._language)

    def when(self, moment: datetime) -> Markup:
        """A moment in the shop's zone, for people and, as an attribute, for machines."""
        local = moment.astimezone(self._zone)
        text = format_datetime(local, _MOMENT[self._language], locale=self._language)
        return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), escape(text))

    def day(self, day: date) -> str:
        return format_date(day, _DAY[self._language], locale=self._language)

    def span(self, length: timedelta) -> str:
        """About how long: minutes, hours or days, never two of them."""
        minutes = int(abs(length).total_seconds() // 60)
        if minutes < 120:
            return self.say("span.minutes", count=minutes)
        if minutes < 48 * 60:
            return self.say("span.hours", count=minutes // 60)
        return self.say("span.days", count=minutes // (24 * 60))
