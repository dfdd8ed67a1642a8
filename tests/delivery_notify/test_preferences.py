"""Contact preferences over HTTP and their effect on notices."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy.local.mailbox import Mailbox
from libs.common.events.values import Language
from tests.conftest import MakeDatabase, execute_as_owner
from tests.delivery_notify.conversation_driver import CUSTOMER
from tests.delivery_notify.service import notifying, take
from tests.delivery_notify.test_sender import later, order
from tests.running import OPS, STOREFRONT, Live

PATH = f"/v1/customers/{CUSTOMER}/preferences"


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with notifying(await database("delivery_notify")) as live:
        yield live


async def put(live: Live, body: dict[str, Any], key: str = "1", path: str = PATH) -> Any:
    return await live.client.put(path, json=body, headers={**STOREFRONT, "Idempotency-Key": key})


async def test_preferences_are_kept_and_shown(live: Live) -> None:
    wanted = {"channels": ["line", "email"], "language": "en", "line_user_id": "U-1", "phone": "090 1234 5678"}
    assert (await put(live, wanted)).status_code == 200
    shown = (await live.client.get(PATH, headers=OPS)).json()
    assert shown == {**wanted, "phone": "+819012345678"}


_DEADLOCK = """
    CREATE SEQUENCE tries;
    CREATE FUNCTION deadlock() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        IF nextval('tries') <= {attempts} THEN RAISE EXCEPTION 'deadlock' USING ERRCODE = '40P01'; END IF;
        RETURN NEW; END $$;
    CREATE TRIGGER deadlock BEFORE INSERT ON idempotency FOR EACH ROW EXECUTE FUNCTION deadlock()"""


@pytest.mark.parametrize(("attempts", "status"), [(3, 200), (100, 503)])
async def test_a_call_is_repeated_after_a_deadlock_and_then_answered_503(
    live: Live, attempts: int, status: int
) -> None:
    await execute_as_owner(live.service.settings.database_url, _DEADLOCK.format(attempts=attempts))
    answer = await put(live, {"channels": ["email"]})
    assert answer.status_code == status
    assert ("retry-after" in answer.headers) == (status == 503)


@pytest.mark.parametrize(
    "body",
    [
        {"channels": ["pigeon"]},
        {"channels": ["email", "email"]},
        {"phone": "12"},
        {"phone": "call me"},
        {"language": 7},
        {"line_user_id": "a b"},
        {"unsubscribe": True},
    ],
)
async def test_an_invalid_field_is_refused_by_name(live: Live, body: dict[str, Any]) -> None:
    answer = await put(live, body)
    assert (answer.status_code, next(iter(body)) in answer.json()["detail"]) == (422, True)


async def test_the_same_call_again_is_answered_as_the_first_time(live: Live) -> None:
    first, second = await put(live, {"language": "en"}), await put(live, {"language": "en"})
    assert (second.json(), second.headers["Idempotent-Replayed"]) == (first.json(), "true")


async def test_a_key_that_was_used_for_another_call_is_refused(live: Live) -> None:
    await put(live, {"language": "en"})
    assert (await put(live, {"language": "ja"})).status_code == 422


async def test_a_call_without_a_key_is_refused(live: Live) -> None:
    assert (await live.client.put(PATH, json={}, headers=STOREFRONT)).status_code == 400


async def test_preferences_can_be_deleted(live: Live) -> None:
    await put(live, {"language": "en"})
    gone = await live.client.delete(PATH, headers={**OPS, "Idempotency-Key": "2"})
    assert (gone.json()["deleted"], (await live.client.get(PATH, headers=OPS)).status_code) == (True, 404)


@pytest.mark.parametrize("language", Language)
async def test_notices_are_in_the_chosen_language(language: Language, database: MakeDatabase, smtp: Mailbox) -> None:
    async with notifying(await database("delivery_notify"), smtp.url) as live:
        await put(live, {"language": language})
        await take(live, order(), later())
        (mail,) = await smtp.wait_for(1)
    assert mail["Content-Language"] == language


async def test_only_the_storefront_and_ops_may_ask(live: Live) -> None:
    assert (await live.client.get(PATH)).status_code == 401
