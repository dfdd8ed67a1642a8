"""The mail catcher accepts SMTP and shows the mails."""

import asyncio
from collections.abc import AsyncIterator
from email.message import EmailMessage

import aiosmtplib
import httpx
import pytest
from aiosmtpd.smtp import SMTP
from starlette.applications import Starlette

from deploy.demo.partners.mailcatcher import MailStore


@pytest.fixture
async def catcher() -> AsyncIterator[tuple[MailStore, int]]:
    mails = MailStore()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(mails), "127.0.0.1", 0)
    async with server:
        yield mails, server.sockets[0].getsockname()[1]


async def send(port: int, subject: str) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "shop@example.jp", "kyaku@example.jp", subject
    message["Message-ID"] = f"<{len(subject)}@example.jp>"
    message.set_content("発送日は3月12日です。 http://127.0.0.1/c/abc")
    message.add_alternative("<p>発送日は<a href='http://127.0.0.1/c/abc'>3月12日</a>です。</p>", subtype="html")
    await aiosmtplib.send(message, hostname="127.0.0.1", port=port)


def browser(mails: MailStore) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=Starlette(routes=mails.routes())), base_url="http://mail"
    )


async def test_a_mail_that_was_sent_is_listed_with_its_text(catcher: tuple[MailStore, int]) -> None:
    mails, port = catcher
    await send(port, "発送しました")
    async with browser(mails) as http:
        listed = (await http.get("/api/mails")).json()
    assert [(mail["number"], mail["subject"]) for mail in listed] == [(1, "発送しました")]
    assert "http://127.0.0.1/c/abc" in listed[0]["text"]


async def test_a_mail_is_shown_as_html_without_scripts_and_its_links_open_in_a_new_tab(
    catcher: tuple[MailStore, int],
) -> None:
    mails, port = catcher
    await send(port, "発送しました")
    async with browser(mails) as http:
        page, body, text = [(await http.get(path)) for path in ("/mails/1", "/mails/1/body", "/mails/1?as=text")]
    assert 'src="/mails/1/body"' in page.text
    assert "allow-scripts" not in page.text
    assert body.text.startswith('<base target="_blank">')
    assert "<a href='http://127.0.0.1/c/abc'>" in body.text
    assert body.headers["content-security-policy"].startswith("default-src 'none'")
    assert "<pre>発送日は3月12日です。 http://127.0.0.1/c/abc" in text.text


async def test_the_last_mails_are_listed(catcher: tuple[MailStore, int]) -> None:
    mails, port = catcher
    for subject in ("one", "three", "fiver"):
        await send(port, subject)
    async with browser(mails) as http:
        listed = (await http.get("/api/mails?last=2")).json()
    assert [mail["subject"] for mail in listed] == ["three", "fiver"]


async def test_only_mails_after_a_number_are_listed(catcher: tuple[MailStore, int]) -> None:
    mails, port = catcher
    for subject in ("one", "three"):
        await send(port, subject)
    async with browser(mails) as http:
        listed = (await http.get("/api/mails?after=1")).json()
    assert [mail["subject"] for mail in listed] == ["three"]


async def test_the_page_shows_a_mail_as_text_and_not_as_markup(catcher: tuple[MailStore, int]) -> None:
    mails, port = catcher
    await send(port, "<script>alert(1)</script>")
    async with browser(mails) as http:
        page = (await http.get("/")).text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


async def test_a_mail_that_never_came_is_not_found(catcher: tuple[MailStore, int]) -> None:
    async with browser(catcher[0]) as http:
        assert (await http.get("/mails/7")).status_code == 404
