"""URL-encoded forms, and the language of a browser."""

from urllib.parse import parse_qs

from fastapi import Request

from libs.common.events.values import Language

MAX_FIELDS = 50


async def read_form(request: Request) -> dict[str, str]:
    """Return the first value of each field; empty if the body is not a URL-encoded form."""
    try:
        fields = parse_qs((await request.body()).decode(), max_num_fields=MAX_FIELDS)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def browser_language(request: Request) -> Language:
    """Return the supported language that `Accept-Language` prefers; Japanese by default."""
    preferred = request.headers.get("accept-language", "").lower()
    return Language.EN if preferred.startswith("en") else Language.JA


def multiline(text: str, max_length: int) -> str:
    """Return the text of a textarea with plain line breaks, trimmed and cut to the limit."""
    return text.replace("\r\n", "\n").strip()[:max_length]
