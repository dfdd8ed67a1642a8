"""The customers: they read their mail, and some of them follow the link in it and answer.

They know nothing but what a customer knows: the mail, the page behind its link, and the buttons on that page.
"""

import io
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx
from PIL import Image

from deploy.demo.partner import ONE_CALL, Job, Partner, main, run_alone
from deploy.demo.settings import CustomersSettings
from deploy.demo.wire import Received
from libs.common.settings import load

WAIT_SECONDS = 0.5
_LINK = re.compile(r"https?://[^\s<>\"']+")


@dataclass
class Form:
    """One form of a page: where it goes, and what each of its buttons or options would send."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    choices: list[tuple[str, str]] = field(default_factory=list)
    days: dict[str, str] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.found.append(Form(named.get("action", "")))
        elif self.found and tag in ("input", "button", "select") and named.get("name"):
            self._input(self.found[-1], tag, named)

    def _input(self, form: Form, tag: str, named: dict[str, str]) -> None:
        kind = named.get("type", "submit" if tag == "button" else "text")
        if kind == "date":
            form.days[named["name"]] = named.get("min", "") or named.get("value", "")
        elif kind == "file":
            form.files.append(named["name"])
        elif kind in ("radio", "submit"):
            form.choices.append((named["name"], named.get("value", "")))
        else:
            form.fields[named["name"]] = named.get("value", "")


def forms_of(page: str) -> list[Form]:
    parser = _Forms()
    parser.feed(page)
    return parser.found


def answers_on(page: str) -> list[tuple[str, dict[str, str]]]:
    """Every answer that this page lets a customer give: where to, and the fields to send."""
    found = []
    for form in forms_of(page):
        common = form.fields | {name: day for name, day in form.days.items() if day}
        choices = form.choices or [("", "")]
        for name, value in choices:
            found.append((form.action, common | ({name: value} if name else {})))
    return found


def _asks(text: str) -> bool:
    """Only a mail that asks for a photo or a fact makes a customer look at the status page here."""
    return "写真" in text or "部品" in text or "photo" in text


def _photo(chance: float) -> bytes:
    """A small picture of one colour: a real JPEG, and nobody's."""
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (int(chance * 255), 90, 90)).save(buffer, "JPEG")
    return buffer.getvalue()


@dataclass
class Customers:
    partner: Partner
    settings: CustomersSettings
    http: httpx.AsyncClient
    read: int = 0
    opened: set[str] = field(default_factory=set)
    answers: dict[int, int] = field(default_factory=dict)

    async def read_mail(self) -> None:
        """Look into the letter boxes again and again, until the process ends; the answer comes with the next mail."""
        while True:
            place = f"{self.settings.mail_url}/api/mails?after={self.read}&wait={WAIT_SECONDS}"
            for mail in (await self.http.get(place)).json():
                self.read = mail["number"]
                self._read(mail)

    def _read(self, mail: dict[str, Any]) -> None:
        for link in _LINK.findall(mail["text"]):
            if link in self.opened:
                continue
            if link.startswith(self.settings.public_url):
                self.opened.add(link)
                self._consider(link, mail["message_id"], self._answer)
            elif self.settings.pages_url and link.startswith(f"{self.settings.pages_url}/s/") and _asks(mail["text"]):
                self.opened.add(link)
                self._consider(link, mail["message_id"], self._send_what_is_missing)

    def _consider(self, link: str, cause: str, act: Callable[[str, float], Awaitable[None]]) -> None:
        rng = self.partner.rng("answer", cause)
        if rng.random() < self.settings.answer_share:
            at = self.partner.clock.now() + timedelta(minutes=rng.uniform(20, 36 * 60))
            self.partner.at(at, partial(act, link, rng.random()))

    async def _send_what_is_missing(self, link: str, chance: float) -> None:
        """Where the status page asks for something, send it: a photo, and the name of a part."""
        page = await self.http.get(link)
        form = next((form for form in forms_of(page.text) if form.files), None)
        if form is None:
            self._count(page.status_code)
            return
        parts = {name: "蓋" for name in form.fields if name.startswith("part:")}
        files = {form.files[0]: ("photo.jpg", _photo(chance), "image/jpeg")}
        answer = await self.http.post(urljoin(link, form.action), data=parts, files=files)
        self._count(answer.status_code)

    async def _answer(self, link: str, chance: float) -> None:
        """Open the page and press one of its buttons; a page without buttons is just read."""
        page = await self.http.get(link)
        possible = answers_on(page.text)
        if page.status_code != 200 or not possible:
            self._count(page.status_code)
            return
        if self.settings.patient:
            possible = [each for each in possible if each[1].get("choice") == "wait"] or possible
        action, fields = possible[int(chance * len(possible))]
        answer = await self.http.post(urljoin(link, action), data=fields)
        self._count(answer.status_code)

    def _count(self, status: int) -> None:
        self.answers[status] = self.answers.get(status, 0) + 1

    def details(self) -> dict[str, Any]:
        return {"mails_read": self.read, "answers": self.answers}

    def listen(self, received: Received) -> None:
        """Customers read no topics."""


@asynccontextmanager
async def people(settings: CustomersSettings) -> AsyncIterator[Job]:
    partner = Partner("customers", settings)
    async with httpx.AsyncClient(timeout=30, follow_redirects=True, limits=ONE_CALL) as http:
        customers = Customers(partner, settings, http)
        partner.details = customers.details
        partner.beside.append(customers.read_mail)
        yield Job(partner, customers.listen)


async def run() -> None:
    async with people(load(CustomersSettings)) as job:
        await run_alone(job)


if __name__ == "__main__":
    main(run)
