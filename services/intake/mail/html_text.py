"""Text of a mail that has HTML only; pure. Quoted parts become lines that begin with `>`, as in a text part."""

from html.parser import HTMLParser

_SKIPPED = frozenset({"style", "script", "head", "title"})
_BREAKING = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3", "table", "ul", "ol", "hr", "pre"})
_QUOTE_CLASSES = ("gmail_quote", "yahoo_quoted", "moz-cite-prefix", "protonmail_quote")
_VOID = frozenset({"br", "hr", "img", "meta", "input", "link", "wbr", "col", "area", "base"})


class _TextOf(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.lines: list[str] = [""]
        self._open: list[tuple[str, bool, bool]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BREAKING:
            self._break()
        if tag in _VOID:
            return
        classes = dict(attrs).get("class") or ""
        quotes = tag == "blockquote" or any(name in classes for name in _QUOTE_CLASSES)
        if quotes:
            self._break()
        _, skipped, quoted = self._open[-1] if self._open else ("", False, False)
        self._open.append((tag, skipped or tag in _SKIPPED, quoted or quotes))

    def handle_endtag(self, tag: str) -> None:
        if tag in _BREAKING or tag == "blockquote":
            self._break()
        if any(each[0] == tag for each in self._open):
            while self._open.pop()[0] != tag:
                pass

    def handle_data(self, data: str) -> None:
        _, skipped, quoted = self._open[-1] if self._open else ("", False, False)
        text = " ".join(data.split())
        if skipped or not text:
            return
        if quoted and not self.lines[-1]:
            self.lines[-1] = "> "
        self.lines[-1] += (" " if data[:1].isspace() and self.lines[-1].strip("> ") else "") + text

    def _break(self) -> None:
        if self.lines[-1]:
            self.lines.append("")


def text_of_html(html: str) -> str:
    """Return the visible text, a line per block."""
    parser = _TextOf()
    parser.feed(html)
    parser.close()
    return "\n".join(parser.lines).strip()
