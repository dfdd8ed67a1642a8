"""Signing in and out: rights and end of a session, and refused attempts."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from typer.testing import CliRunner

from libs.common.http.client_network import client_network
from services.intake.cli import staff
from services.intake.desk.auth import desk_address
from services.intake.desk.sessions import MAX_ATTEMPTS
from services.intake.store.staff import SHOWN_SESSIONS
from tests.conftest import MakeDatabase
from tests.intake.desk.conftest import Desk


def pass_time(desk: Desk, span: timedelta) -> None:
    """Move the shop's clock forward."""
    desk.clock._write(desk.clock.now() + span, 1)


async def test_a_session_opens_with_the_right_password_only(desk: Desk) -> None:
    assert (await desk.as_("hanako")).entered.status_code == 303
    for name, password in (("hanako", "a wrong password"), ("nobody", "a long password for tests"), ("", "")):
        refused = (await desk.as_(name, password)).entered
        assert (refused.status_code, "set-cookie" in refused.headers) == (401, False), name


async def test_the_cookie_is_for_this_host_over_tls_and_for_no_script(desk: Desk) -> None:
    cookie = (await desk.as_("hanako")).entered.headers["set-cookie"]
    assert cookie.startswith("__Host-desk=")
    assert all(part in cookie for part in ("HttpOnly", "Secure", "SameSite=strict", "Path=/"))


async def test_the_database_holds_neither_cookie_nor_password(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    token = hanako.client.cookies["__Host-desk"]
    rows = await desk.live.service.pool.fetch("SELECT s.*, t.password_hash FROM staff_sessions s JOIN staff t ON true")
    assert token not in str([dict(row) for row in rows])
    assert all(row["password_hash"].startswith("$argon2id$") for row in rows)


async def test_a_session_that_is_not_used_ends(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    pass_time(desk, timedelta(minutes=29))
    assert (await hanako.get("/desk")).status_code == 200
    pass_time(desk, timedelta(minutes=29))
    assert (await hanako.get("/desk")).status_code == 200
    pass_time(desk, timedelta(minutes=31))
    assert (await hanako.get("/desk")).status_code == 303


async def test_a_session_ends_after_a_day_of_work_however_much_it_is_used(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    for _ in range(29):
        pass_time(desk, timedelta(minutes=24))
        assert (await hanako.get("/desk/search")).status_code == 200
    pass_time(desk, timedelta(minutes=24))
    assert (await hanako.get("/desk/search")).status_code == 303


async def test_signing_out_ends_the_session_on_our_side(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    token = hanako.client.cookies["__Host-desk"]
    assert (await hanako.post("/desk/sign-out")).status_code == 303
    again = await desk.client().get("/desk", headers={"Cookie": f"__Host-desk={token}"})
    assert again.status_code == 303


async def test_signing_in_again_ends_the_session_that_the_browser_had(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    before = hanako.client.cookies["__Host-desk"]
    await hanako.client.post("/desk/sign-in", data={"name": "hanako", "password": "a long password for tests"})
    assert before not in hanako.client.cookies.values()
    assert (await desk.client().get("/desk", headers={"Cookie": f"__Host-desk={before}"})).status_code == 303


async def test_an_admin_reaches_every_session_and_finds_their_own_first(desk: Desk) -> None:
    now = desk.clock.now()
    rows = [(str(number).encode(), "hanako", "csrf", now) for number in range(SHOWN_SESSIONS + 5)]
    admin = await desk.as_("aki")
    await desk.live.service.pool.executemany(
        "INSERT INTO staff_sessions (digest, staff, csrf, started_at, seen_at) VALUES ($1, $2, $3, $4, $4)", rows
    )
    pages = [(await admin.get(f"/desk/sessions?offset={offset}")).text for offset in (0, SHOWN_SESSIONS)]
    assert [page.count('name="end.') for page in pages] == [SHOWN_SESSIONS, 6]
    assert ["(this one)" in page for page in pages] == [True, False]
    assert [f"offset={SHOWN_SESSIONS}" in page for page in pages] == [True, False]


async def test_guessing_a_password_is_stopped_and_goes_on_later(desk: Desk) -> None:
    for _ in range(MAX_ATTEMPTS):
        assert (await desk.as_("hanako", "a wrong password")).entered.status_code == 401
    stopped = (await desk.as_("hanako")).entered
    assert (stopped.status_code, stopped.headers["retry-after"]) == (429, "900")
    assert (await desk.as_("taro")).entered.status_code == 303
    pass_time(desk, timedelta(minutes=16))
    assert (await desk.as_("hanako")).entered.status_code == 303


async def test_parallel_guesses_are_checked_no_more_often_than_guesses_in_a_row(desk: Desk) -> None:
    guesses = await asyncio.gather(*(desk.as_("hanako", f"a wrong password {n}") for n in range(60)))
    assert Counter(guess.entered.status_code for guess in guesses) == {401: MAX_ATTEMPTS, 429: 60 - MAX_ATTEMPTS}


async def test_a_right_password_takes_back_its_own_attempt_only(desk: Desk) -> None:
    for _ in range(MAX_ATTEMPTS - 1):
        await desk.as_("hanako", "a wrong password")
    for _ in range(3):
        assert (await desk.as_("hanako")).entered.status_code == 303
    subjects = await desk.live.service.pool.fetch("SELECT count(*) AS n FROM failed_sign_ins GROUP BY subject")
    assert [row["n"] for row in subjects] == [MAX_ATTEMPTS - 1] * 2, "those of the name, and of the address"


async def test_a_guesser_does_not_lock_out_a_browser_that_is_known(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    for _ in range(MAX_ATTEMPTS + 1):
        await desk.as_("hanako", "a wrong password")
    assert (await desk.as_("hanako")).entered.status_code == 429
    again = {"name": "hanako", "password": "a long password for tests"}
    assert (await hanako.client.post("/desk/sign-in", data=again)).status_code == 303
    taro = await hanako.client.post("/desk/sign-in", data={**again, "name": "taro", "password": "wrong"})
    assert taro.status_code == 401, "the browser is known for hanako only"
    for _ in range(MAX_ATTEMPTS):
        await hanako.client.post("/desk/sign-in", data={**again, "password": "wrong"})
    assert (await hanako.client.post("/desk/sign-in", data=again)).status_code == 429, "it has a limit of its own"


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("", ""),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("testclient", "testclient"),
    ],
)
def test_attempts_are_counted_for_the_network_of_a_customer(address: str, counted: str) -> None:
    assert client_network(address) == counted


async def test_a_form_without_the_token_of_the_session_does_nothing(desk: Desk) -> None:
    hanako, taro = await desk.as_("hanako"), await desk.as_("taro")
    for csrf in ("", "wrong", await taro.csrf()):
        answer = await hanako.client.post("/desk/sign-out", data={"csrf": csrf})
        assert answer.status_code == 403
    foreign = await hanako.client.post(
        "/desk/sign-out", data={"csrf": await hanako.csrf()}, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert foreign.status_code == 403
    assert (await hanako.get("/desk")).status_code == 200


async def test_another_site_cannot_sign_anybody_in(desk: Desk) -> None:
    answer = await desk.client().post(
        "/desk/sign-in",
        data={"name": "hanako", "password": "a long password for tests"},
        headers={"Sec-Fetch-Site": "cross-site"},
    )
    assert (answer.status_code, "set-cookie" in answer.headers) == (403, False)


@pytest.mark.parametrize("where", ["https://evil.example", "//evil.example", "/desk\\evil", "/deskevil", "", None])
def test_signing_in_leads_nowhere_but_to_the_desk(where: str | None) -> None:
    assert desk_address(where) == "/desk"


def test_signing_in_leads_back_to_where_one_was() -> None:
    assert desk_address("/desk/issues/1?x=y") == "/desk/issues/1?x=y"


async def test_staff_are_made_changed_and_shut_out_by_a_command(
    database: MakeDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    monkeypatch.setenv("DATABASE_URL", await database("intake"))

    def run(*arguments: str, password: str = "twelve characters") -> tuple[int, str]:
        done = CliRunner().invoke(staff.app, list(arguments), env={"STAFF_PASSWORD": password})
        return done.exit_code, done.output or str(done.exception)

    async def by_command(*arguments: str, **more: str) -> tuple[int, str]:
        return await asyncio.to_thread(run, *arguments, **more)

    assert await by_command("add", "hanako", "--role", "agent") == (0, "hanako has the role agent\n")
    assert (await by_command("add", "hanako", "--role", "agent"))[0] != 0
    assert (await by_command("add", "Not A Name", "--role", "agent"))[0] != 0
    assert (await by_command("add", "taro", "--role", "agent", password="short"))[0] == 2
    assert await by_command("role", "hanako", "--role", "admin") == (0, "hanako has the role admin\n")
    assert await by_command("password", "hanako") == (0, "hanako has a new password\n")
    assert await by_command("disable", "hanako") == (0, "hanako is disabled\n")
    assert "disabled" in (await by_command("list"))[1]
    assert (await by_command("disable", "nobody"))[0] != 0
    assert await by_command("enable", "hanako") == (0, "hanako is enabled\n")
    assert "disabled" not in (await by_command("list"))[1]
    assert (await by_command("enable", "hanako"))[0] != 0


async def test_a_language_that_the_desk_has_no_texts_in_shows_it_in_english(desk: Desk) -> None:
    hanako = await desk.as_("hanako")
    assert (await hanako.post("/desk/language", language="de")).status_code == 303
    assert '<html lang="en">' in (await hanako.get("/desk")).text


@pytest.mark.parametrize("field", ["end.", "end.zz", "end." + "0" * 64, "end." + "0" * 63, "END." + "a" * 64, "x"])
async def test_odd_fields_of_the_list_of_sessions_end_nothing(desk: Desk, field: str) -> None:
    hanako = await desk.as_("hanako")
    assert (await hanako.post("/desk/sessions", **{field: "on"})).status_code == 303
    assert (await hanako.get("/desk")).status_code == 200
