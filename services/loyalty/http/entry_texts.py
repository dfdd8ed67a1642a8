"""Public texts of ledger entries by their code: one file per language in `texts`. Placeholder: `{order}`."""

from pathlib import Path

from libs.common.events.values import Language
from libs.common.web.translations import read_translations

TEXTS = read_translations(Path(__file__).with_name("texts"))


def entry_text(code: str, language: Language, order_id: str | None = None) -> str:
    """Return the text of a code; the code itself if it is unknown (written by a newer version)."""
    return TEXTS.text(code, language, order=order_id or "") if code in TEXTS else code
