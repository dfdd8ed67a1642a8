"""Layout filters `paragraphs` and `rows`: the blocks of a notice as plain text and as HTML.

A paragraph ends at an empty line; a row is `label|value` or `label|value|url` on one line. Both forms are built from
the same block.
"""

import re
from functools import lru_cache

from markupsafe import Markup, escape

_EMPTY_LINES = re.compile(r"\n\s*\n")

# The classes are for the dark theme of the layouts, whose rules override these inline styles.
_PARAGRAPH = '<p style="margin:0 0 16px">'
_TABLE = '<table role="presentation" style="border-collapse:collapse;width:100%;margin:20px 0;font-size:15px">'
_LABEL = (
    '<td class="muted" style="padding:9px 12px 9px 0;border-top:1px solid #e6e2da;color:#6b6861;vertical-align:top;'
    'width:34%;overflow-wrap:break-word;hyphens:auto;word-break:auto-phrase">'
)
_VALUE = '<td style="padding:9px 0;border-top:1px solid #e6e2da;vertical-align:top;font-weight:600">'


# One entry is enough: the HTML part is rendered from the same block right after the text part.
@lru_cache(maxsize=1)
def _split_paragraphs(text: str) -> list[str]:
    return [paragraph for block in _EMPTY_LINES.split(text) if (paragraph := " ".join(block.split()))]


@lru_cache(maxsize=1)
def _split_rows(text: str) -> list[tuple[str, str, str]]:
    """Return label, value and URL of each row; "" for a row without a link."""
    return [_split_row(line.strip()) for line in text.splitlines() if "|" in line]


def _split_row(line: str) -> tuple[str, str, str]:
    label, _, rest = line.partition("|")
    value, _, url = rest.rpartition("|")
    if url.startswith("https://"):
        return label, value, url
    return label, (rest if url else rest.removesuffix("|")), ""


def text_paragraphs(text: str) -> str:
    return "\n\n".join(_split_paragraphs(text))


def text_rows(text: str) -> str:
    return "\n".join(f"{label}: {value}" + (f"\n{url}" if url else "") for label, value, url in _split_rows(text))


def first_paragraph(text: str) -> str:
    """Return the first paragraph: mail programs show it beside the subject (preheader)."""
    return next(iter(_split_paragraphs(text)), "")


def html_paragraphs(text: str) -> Markup:
    paragraphs = (f"{_PARAGRAPH}{_keep_quantities(paragraph)}</p>\n" for paragraph in _split_paragraphs(_escaped(text)))
    return Markup("".join(paragraphs))  # noqa: S704


def html_rows(text: str) -> Markup:
    rows = (
        f"<tr>{_LABEL}{label}</td>{_VALUE}{_linked(_keep_quantities(value), url)}</td></tr>\n"
        for label, value, url in _split_rows(_escaped(text))
    )
    return Markup(f"{_TABLE}\n{''.join(rows)}</table>")  # noqa: S704


def _linked(value: str, url: str) -> str:
    """Both are escaped already."""
    return f'<a href="{url}" class="link" style="color:inherit">{value}</a>' if url else value


def _keep_quantities(text: str) -> str:
    """Keep a quantity on the line of its item."""
    return text.replace(" × ", "\u00a0×\u00a0")


def _escaped(text: str) -> str:
    """Escape plain text; `Markup` has been escaped by the environment already."""
    return str(text) if isinstance(text, Markup) else str(escape(text))
