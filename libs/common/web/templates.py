"""Jinja templates of one folder, rendered with translations and localized dates."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from libs.common import __version__
from libs.common.events.values import Language
from libs.common.locales import LOCALES
from libs.common.web import SHARED_TEMPLATES
from libs.common.web.assets import Assets
from libs.common.web.formatting import LocalizedFormatter
from libs.common.web.translations import Translations


class Templates:
    """The templates of one folder, which may extend the shared layouts.

    Each of them may use `t`, `label`, `time`, `date`, `duration`, `lang`, `other_languages` (tag and name), `asset`,
    `base` and `version`.
    """

    def __init__(self, folder: Path, translations: Translations, assets: Assets, zone: ZoneInfo) -> None:
        self.translations, self._zone = translations, zone
        self._environment = Environment(
            loader=FileSystemLoader([folder, SHARED_TEMPLATES]),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals |= {"asset": assets.url, "base": assets.base, "version": __version__}

    def response(
        self,
        template: str,
        language: Language,
        values: Mapping[str, Any],
        headers: Mapping[str, str],
        status: int = 200,
    ) -> HTMLResponse:
        return HTMLResponse(self.render(template, language, values), status, headers)

    def render(self, template: str, language: Language, values: Mapping[str, Any]) -> str:
        formatter = LocalizedFormatter(self.translations, language, self._zone)
        functions = {
            "t": formatter.text,
            "label": formatter.label,
            "time": formatter.time,
            "date": formatter.date,
            "duration": formatter.duration,
        }
        shown = self.translations.nearest(language)
        others = [(code, LOCALES[code].name) for code in self.translations.languages if code != shown]
        standard = {"lang": shown, "other_languages": others}
        return self._environment.get_template(template).render({**functions, **standard, **values})
