"""The customers: they read their mail, and some follow its links and answer.

They use the mail, the linked pages and the choices on them, nothing else. Some ask for another day, item, address or
collection window, and many answer the survey after the resolution.
"""

import io
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from email.message import EmailMessage
from functools import partial
from typing import Any
from urllib.parse import urljoin

import httpx
from PIL import Image

from deploy.demo.data.bundled import product_skus
from deploy.demo.partners.codec import ReceivedEvent
from deploy.demo.partners.page_forms import answers_on, forms_of
from deploy.demo.partners.partner import NO_KEEPALIVE, Partner, PartnerTask, main, run_alone
from deploy.demo.partners.settings import CustomersSettings
from libs.common.config.settings import load

WAIT_SECONDS = 0.5
_LINK = re.compile(r"https?://[^\s<>\"']+")

CHOICE_WEIGHTS = {"wait": 5.0, "date": 2.0, "item": 1.0, "address": 1.0, "cancel": 1.0}
"""Relative weight of each answer; 2 for answers that are not listed."""

NEW_ADDRESS = {
    "name": "引越 済",
    "postal_code": "530-0000",
    "region": "大阪府",
    "city": "転居市",
    "street": "新居町8-8",
    "country": "JP",
    "phone": "",
}
"""The address of customers who move."""

LEFT_CHOICES = timedelta(hours=60)
"""Choices are few: those of the last days are left as well."""
CHANGE_WINDOW_SHARE = 0.35
ANSWER_BY_MAIL_SHARE = 0.4
"""Share of the requested photos that customers send in a reply to the mail."""
SCORE_WEIGHTS = {10: 30, 9: 26, 8: 16, 7: 10, 6: 5, 5: 4, 3: 4, 1: 3, 0: 2}

Action = Callable[[str, random.Random], Awaitable[None]]


def _requests_details(text: str) -> bool:
    """Return true if the mail asks for a photo or a part by a day; one that thanks for a photo does not."""
    is_question = "お返事の期限" in text or "Please reply:" in text
    return is_question and ("写真" in text or "部品" in text or "photo" in text or "part" in text)


def _announces_collection(text: str) -> bool:
    """Return true if the mail announces a collection."""
    return "引き取りに伺" in text or "ourier c" in text


def _photo(chance: float) -> bytes:
    """A small JPEG of one colour."""
    buffer = io.BytesIO()
    Image.new("RGB", (320, 240), (int(chance * 255), 90, 90)).save(buffer, "JPEG")
    return buffer.getvalue()


def fill_form(fields: dict[str, str], rng: random.Random, catalogue: list[str]) -> dict[str, str]:
    """The answer with its required fields: a later day, another item, another address."""
    match fields.get("change"):
        case "date" if fields.get("requested_date"):
            day = date.fromisoformat(fields["requested_date"]) + timedelta(days=rng.randint(7, 21))
            return fields | {"requested_date": day.isoformat()}
        case "item":
            return fields | {"requested_sku": rng.choice(catalogue)}
        case "address":
            return fields | NEW_ADDRESS
        case _:
            return fields


def choose_answer(possible: list[tuple[str, dict[str, str]]], rng: random.Random) -> tuple[str, dict[str, str]]:
    """One of the answers, by weight."""
    names = [
        fields.get("change") if fields.get("choice") == "change" else fields.get("choice") for _, fields in possible
    ]
    return rng.choices(possible, [CHOICE_WEIGHTS.get(name or "", 2.0) for name in names])[0]


@dataclass
class Customers:
    """`responses` counts the status codes of submitted forms, `actions` the actions."""

    partner: Partner
    settings: CustomersSettings
    http: httpx.AsyncClient
    mails_read: int = 0
    visited: set[tuple[str, str]] = field(default_factory=set)
    responses: Counter[int] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    catalogue: list[str] = field(default_factory=product_skus)
    answerable: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Mails that ask for details and have an address for replies, by the link in them."""

    async def poll_mail(self) -> None:
        """Read new mails until the process ends; the mail server answers with the next mail."""
        while True:
            url = f"{self.settings.mail_url}/api/mails?after={self.mails_read}&wait={WAIT_SECONDS}"
            for mail in (await self.http.get(url)).json():
                self.mails_read = mail["number"]
                self._handle_mail(mail)

    def _handle_mail(self, mail: dict[str, Any]) -> None:
        for link in _LINK.findall(mail["text"]):
            act = self._action_for(link, mail["text"])
            if act == self._provide_details and self.settings.mail_key and "reply+" in mail["reply_to"]:
                self.answerable[link] = mail
            if act and (link, act.__name__) not in self.visited:
                self.visited.add((link, act.__name__))
                self._schedule(link, mail["message_id"], act)

    def _action_for(self, link: str, text: str) -> Action | None:
        """The action of a customer who opens this link."""
        pages = self.settings.pages_url
        if link.startswith(f"{self.settings.public_url}/c/"):
            return self._answer_choice
        if pages and link.startswith(f"{pages}/v/"):
            return self._rate
        if pages and link.startswith(f"{pages}/s/"):
            return (
                self._provide_details
                if _requests_details(text)
                else self._choose_window
                if _announces_collection(text)
                else None
            )
        return None

    def _schedule(self, link: str, cause: str, act: Action) -> None:
        leaves = LEFT_CHOICES if act == self._answer_choice else timedelta(0)
        if self.partner.is_quiet(self.partner.clock.now() + leaves):
            return
        rng = self.partner.rng("answer", cause, act.__name__)
        share = CHANGE_WINDOW_SHARE if act == self._choose_window else self.settings.answer_share
        if rng.random() < share:
            within = timedelta(hours=8) if act == self._choose_window else timedelta(hours=36)
            at = self.partner.clock.now() + timedelta(minutes=20) + within * rng.random()
            self.partner.schedule(at, partial(act, link, rng))

    async def _provide_details(self, link: str, rng: random.Random) -> None:
        """Send a photo and the name of a part where the status page asks for them, or a photo in reply to the mail."""
        if (mail := self.answerable.get(link)) and rng.random() < ANSWER_BY_MAIL_SHARE:
            await self._answer_by_mail(mail, rng)
            return
        page = await self.http.get(link)
        form = next((form for form in forms_of(page.text) if form.files), None)
        if form is None:
            self._count(page.status_code)
            return
        parts = {name: "蓋" for name in form.fields if name.startswith("part:")}
        files = {form.files[0]: ("photo.jpg", _photo(rng.random()), "image/jpeg")}
        answer = await self.http.post(urljoin(link, form.action), data=parts, files=files)
        self._count(answer.status_code, "provided details")

    async def _answer_by_mail(self, mail: dict[str, Any], rng: random.Random) -> None:
        """Reply to a mail with a photo; the mail server of the shop passes the reply to intake."""
        reply = EmailMessage()
        reply["From"], reply["To"] = mail["to"][0], mail["reply_to"]
        reply["Subject"], reply["In-Reply-To"] = f"Re: {mail['subject']}", mail["message_id"]
        reply["Message-ID"] = f"<{rng.getrandbits(64):x}@customers.example.jp>"
        quote = "".join(f"> {line}\n" for line in mail["text"].splitlines()[:12])
        reply.set_content(
            f"写真を送ります。よろしくお願いします。\n\n2026年3月4日(水) 10:15 shop@example.jp:\n\n{quote}"
        )
        reply.add_attachment(_photo(rng.random()), "image", "jpeg", filename="IMG_0001.JPG")
        key = self.settings.mail_key.get_secret_value() if self.settings.mail_key else ""
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "message/rfc822"}
        answer = await self.http.post(f"{self.settings.pages_url}/v1/mail", content=reply.as_bytes(), headers=headers)
        self._count(200 if answer.status_code == 202 else answer.status_code, "answered a mail")

    async def _choose_window(self, link: str, rng: random.Random) -> None:
        """Choose another collection window where the status page offers one."""
        page = await self.http.get(link)
        form = next((form for form in forms_of(page.text) if form.lists.get("window")), None)
        if form is None:
            self._count(page.status_code)
            return
        answer = await self.http.post(urljoin(link, form.action), data={"window": rng.choice(form.lists["window"])})
        self._count(answer.status_code, "changed the collection window")

    async def _rate(self, link: str, rng: random.Random) -> None:
        page = await self.http.get(link)
        form = next((form for form in forms_of(page.text) if ("score", "10") in form.choices), None)
        if form is None:
            self._count(page.status_code)
            return
        score = rng.choices(list(SCORE_WEIGHTS), list(SCORE_WEIGHTS.values()))[0]
        why = "It took too long." if score < 7 else ""
        answer = await self.http.post(urljoin(link, form.action), data={"score": str(score), "comment": why})
        self._count(answer.status_code, "answered the survey")

    async def _answer_choice(self, link: str, rng: random.Random) -> None:
        """Open the page and submit one of its answers, if it has any."""
        page = await self.http.get(link)
        possible = answers_on(page.text)
        if page.status_code != 200 or not possible:
            self._count(page.status_code)
            return
        if self.settings.always_wait:
            possible = [each for each in possible if each[1].get("choice") == "wait"] or possible
        action, fields = choose_answer(possible, rng)
        answer = await self.http.post(urljoin(link, action), data=fill_form(fields, rng, self.catalogue))
        self._count(answer.status_code, "answered a choice")

    def _count(self, status: int, what: str = "viewed a page") -> None:
        self.responses[status] += 1
        self.actions[what if status == 200 else "came too late"] += 1

    def details(self) -> dict[str, Any]:
        return {"mails_read": self.mails_read, "responses": self.responses, "actions": self.actions}

    def handle(self, received: ReceivedEvent) -> None:
        """Customers read no topics."""


@asynccontextmanager
async def customers(settings: CustomersSettings) -> AsyncIterator[PartnerTask]:
    partner = Partner("customers", settings)
    async with httpx.AsyncClient(timeout=30, follow_redirects=True, limits=NO_KEEPALIVE) as http:
        customers = Customers(partner, settings, http)
        partner.details = customers.details
        partner.background_tasks.append(customers.poll_mail)
        yield PartnerTask(partner, customers.handle)


async def run() -> None:
    async with customers(load(CustomersSettings)) as job:
        await run_alone(job)


if __name__ == "__main__":
    main(run)
