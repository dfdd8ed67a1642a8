"""The new text of a reply, without what it quotes and without its signature; pure.

Mail programs mark quotes in their own ways and languages, and no standard says how. Lines that begin with `>` are
quotes; a separator line or the head of the original mail ends the new text. The whole mail is kept beside it
(`customer_messages.whole_text`), since any such rule can be wrong. `mail-parser-reply` was tried and rejected: of eight
replies it kept the original mail of three Japanese ones (Outlook's head, a reply below the quote, a mobile carrier).
"""

import re
from collections.abc import Sequence

_SEPARATOR = re.compile(
    r"[-_＿]{3,}\s*(original message|forwarded message|ursprüngliche nachricht|元のメッセージ|転送メッセージ)\b.*"
    r"|_{20,}|-{2}",
    re.IGNORECASE,
)
_INTRODUCTION = re.compile(
    r"(on\b.{5,300}\bwrote:|am\b.{5,300}\bschrieb\b.{0,200}:|.{0,200}\d{4}[年/.-].{0,200}(:|：|のメール:|書きました:|のメール：))",
    re.IGNORECASE,
)
_HEAD_FIELD = re.compile(
    r"\*?(from|sent|date|to|subject|差出人|送信者|送信日時|送信元|日付|日時|宛先|件名|von|gesendet|datum|an|betreff)\*?\s?[:：]",
    re.IGNORECASE,
)
_SENT_FROM = re.compile(
    r"(sent from (my )?\w+|get outlook for \w+|von meinem \w+ gesendet"
    r"|(my )?(iphone|ipad|android|スマートフォン)[^。]{0,40}から送信)\W*",
    re.IGNORECASE,
)
_QUOTES = (">", "＞")
MIN_HEAD_FIELDS = 3
"""Header fields on lines in a row that are the head of the original mail."""


def new_text(text: str) -> str:
    """Return what the writer added; the empty string where a mail quotes only."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    kept: list[str] = []
    passed = 0
    for number, line in enumerate(lines):
        stripped = line.strip()
        passed = max(passed, number + _introduction_length(lines, number))
        if number < passed or stripped.startswith(_QUOTES):
            continue
        if _SEPARATOR.fullmatch(stripped) or _begins_head(lines, number):
            break
        if not _SENT_FROM.fullmatch(stripped):
            kept.append(line.rstrip())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def _introduction_length(lines: Sequence[str], number: int) -> int:
    """Return the number of lines from here that introduce a quote; some programs break the introduction over two."""
    first, *following = [line.strip() for line in lines[number : number + 5]]
    for length in (1, 2):
        rest = [line for line in following[length - 1 :] if line]
        if not rest or not rest[0].startswith(_QUOTES):
            continue
        if length > 1 and _INTRODUCTION.fullmatch(following[0]):
            return 0  # the next line introduces alone, and this one is text
        if first and _INTRODUCTION.fullmatch(" ".join([first, *following[: length - 1]])):
            return length
    return 0


def _begins_head(lines: Sequence[str], number: int) -> bool:
    """Return whether the head of the original mail begins here."""
    fields = 0
    for line in lines[number : number + 8]:
        if not line.strip():
            continue
        if not _HEAD_FIELD.match(line.strip()):
            break
        fields += 1
    return fields >= MIN_HEAD_FIELDS
