"""Parses the forms of customer pages: their fields, and the data that each button submits."""

from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass
class Form:
    """One form of a page. `choices` are its buttons and radio buttons, `lists` the options of each select, `days` the
    first allowed day of each date field.
    """

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: list[tuple[str, str]] = field(default_factory=list)
    lists: dict[str, list[str]] = field(default_factory=dict)
    days: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._list: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(named.get("action", "")))
        elif not self.found:
            return
        elif tag == "option" and self._list is not None:
            self._list.append(named.get("value", ""))
        elif tag == "select":
            self._list = self.found[-1].lists.setdefault(named.get("name", ""), [])
        elif tag in ("input", "button", "textarea") and named.get("name"):
            self._input(self.found[-1], tag, named)

    def handle_endtag(self, tag: str) -> None:
        if tag == "select":
            self._list = None

    def _input(self, form: Form, tag: str, named: dict[str, str]) -> None:
        kind = named.get("type", "submit" if tag == "button" else "text")
        if kind == "date":
            form.days[named["name"]] = named.get("min", "") or named.get("value", "")
        elif kind == "file":
            form.files.append(named["name"])
        elif kind in ("radio", "submit"):
            form.choices.append((named["name"], named.get("value", "")))
        elif kind != "checkbox" or "checked" in named:
            form.fields[named["name"]] = named.get("value", "")


def forms_of(page: str) -> list[Form]:
    parser = _Forms()
    parser.feed(page)
    return parser.found


def answers_on(page: str) -> list[tuple[str, dict[str, str]]]:
    """Every possible answer of a page: its action and fields. Each thing that can be changed is an answer of
    its own."""
    answers = []
    for form in forms_of(page):
        common = form.fields | {name: day for name, day in form.days.items() if day}
        for name, value in form.choices or [("", "")]:
            chosen = common | ({name: value} if name else {})
            changes = form.lists.get("change", []) if value == "change" else []
            answers += [(form.action, chosen | {"change": change}) for change in changes] or [(form.action, chosen)]
    return answers
