"""Localized texts, dates and times of one page."""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from babel.dates import format_date, format_datetime
from markupsafe import Markup, escape

from libs.common.events.values import Language
from libs.common.locales import LOCALES
from libs.common.web.translations import Translations


class LocalizedFormatter:
    """Formats values in one language and in the shop's time zone; its methods are the functions of templates."""

    def __init__(self, translations: Translations, language: Language, zone: ZoneInfo) -> None:
        self._translations, self._language, self._zone = translations, translations.nearest(language), zone
        self._locale = LOCALES[self._language]

    def text(self, key: str, **values: object) -> str:
        return self._translations.text(key, self._language, **values)

    def label(self, table: str, value: object) -> str:
        return self._translations.label(table, value, self._language)

    def time(self, moment: datetime) -> Markup:
        """Return a `<time>` element: local time as text, ISO 8601 as attribute."""
        local = moment.astimezone(self._zone)
        text = format_datetime(local, self._locale.short_datetime, locale=self._locale.locale)
        return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(timespec="seconds"), escape(text))

    def date(self, day: date) -> str:
        return format_date(day, self._locale.date, locale=self._locale.locale)

    def duration(self, length: timedelta) -> str:
        """Return the rounded length in one unit: minutes, hours or days."""
        minutes = int(abs(length).total_seconds() // 60)
        if minutes < 120:
            return self.text("duration.minutes", count=minutes)
        if minutes < 48 * 60:
            return self.text("duration.hours", count=minutes // 60)
        return self.text("duration.days", count=minutes // (24 * 60))
