"""Notices to staff: outcome of each message, retries, what cannot be encoded, and dead letters as one notice."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from libs.common.events.values import Language
from services.delivery_notify.channels.channel import EncodedMessage, MessageDraft, SendOutcome, SendStatus
from services.delivery_notify.channels.smtp import MailEncoder
from services.delivery_notify.domain.staff_notices import StaffKind, StaffNoticeCreated
from services.delivery_notify.rendering.texts.staff import StaffTexts
from services.delivery_notify.sending.retry_policy import MAX_ATTEMPTS
from services.delivery_notify.sending.staff_sender import BATCH_SIZE, StaffSender
from services.delivery_notify.store import staff_notices
from tests.conftest import MakeDatabase
from tests.delivery_notify.service import notifying
from tests.running import Live

SENT = SendOutcome(SendStatus.SENT)
BUSY = SendOutcome(SendStatus.TEMPORARY_FAILURE, "http 500")
REFUSED = SendOutcome(SendStatus.PERMANENT_FAILURE, "http 400")
AWAY = SendOutcome(SendStatus.CHANNEL_UNAVAILABLE, "http 401", retry_after=3000)


@dataclass
class FakeChannel:
    """Channel that answers with the given outcomes, one per message, and then with success."""

    outcomes: list[SendOutcome] = field(default_factory=list)
    name: str = "slack"
    sent: list[EncodedMessage] = field(default_factory=list)
    closed: bool = False

    def encode(self, draft: MessageDraft) -> EncodedMessage:
        return MailEncoder(("Shop", "shop@example.jp")).encode(draft)

    async def send(self, messages: Sequence[EncodedMessage], time_limit: float) -> list[SendOutcome]:
        self.sent += messages
        return [self.outcomes.pop(0) if self.outcomes else SENT for _ in messages]

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
async def live(database: MakeDatabase) -> AsyncIterator[Live]:
    async with notifying(await database("delivery_notify")) as live:
        yield live


def sender(live: Live, channel: FakeChannel, address: str = "ops@shop.example") -> StaffSender:
    return StaffSender(live.service, channel, address, StaffTexts(Language.EN, "Shop"))


async def notice(live: Live, number: int = 1, kind: StaffKind = StaffKind.MAIL_BLOCKED, **facts: str) -> None:
    made_at = datetime.now(UTC) + timedelta(seconds=number)
    known = {"channel": "email", "cause": f"cause {number}"}
    async with live.service.pool.acquire() as conn:
        await staff_notices.save(conn, [StaffNoticeCreated(kind, (str(number),), made_at, facts or known)])


async def rows(live: Live) -> list[dict[str, Any]]:
    found = await live.service.pool.fetch("SELECT * FROM staff_notices ORDER BY made_at")
    return [dict(row) for row in found]


async def states(live: Live) -> list[tuple[str, str | None, int]]:
    return [(row["status"], row["cause"], row["attempts"]) for row in await rows(live)]


async def test_a_sent_notice_is_settled_with_its_channel(live: Live) -> None:
    await notice(live)
    assert await sender(live, FakeChannel()).send_due() == 1
    (row,) = await rows(live)
    assert (row["status"], row["channel"], row["settled_at"] is not None) == ("sent", "slack", True)


async def test_a_settled_notice_is_not_sent_again(live: Live) -> None:
    await notice(live)
    staff = sender(live, FakeChannel())
    assert [await staff.send_due(), await staff.send_due()] == [1, 0]


async def test_notices_are_sent_oldest_first_and_a_batch_at_a_time(live: Live) -> None:
    channel = FakeChannel()
    for number in reversed(range(BATCH_SIZE + 1)):
        await notice(live, number)
    assert await sender(live, channel).send_due() == BATCH_SIZE
    ids = [row["staff_notice_id"] for row in await rows(live)]
    assert [message.idempotency_key for message in channel.sent] == ids[:BATCH_SIZE]


async def test_a_temporary_failure_is_retried_later_and_counts(live: Live) -> None:
    await notice(live)
    staff = sender(live, FakeChannel([BUSY]))
    await staff.send_due()
    (row,) = await rows(live)
    assert (row["status"], row["cause"], row["attempts"]) == ("pending", "http 500", 1)
    assert row["wait_until"] > datetime.now(UTC)
    assert await staff.send_due() == 0


async def test_the_last_temporary_failure_gives_up(live: Live) -> None:
    await notice(live)
    await live.service.pool.execute("UPDATE staff_notices SET attempts = $1", MAX_ATTEMPTS - 1)
    await sender(live, FakeChannel([BUSY])).send_due()
    assert await states(live) == [("failed", "http 500", MAX_ATTEMPTS)]


async def test_a_refused_notice_fails_at_once_and_stays_listed(live: Live) -> None:
    await notice(live)
    await sender(live, FakeChannel([REFUSED])).send_due()
    assert await states(live) == [("failed", "http 400", 1)]
    async with live.service.pool.acquire() as conn:
        assert [each["status"] for each in await staff_notices.list_latest(conn, 5)] == ["failed"]


async def test_an_unavailable_channel_costs_no_attempt_and_stops_the_sender(live: Live) -> None:
    await notice(live)
    staff = sender(live, FakeChannel([AWAY]))
    await staff.send_due()
    assert await states(live) == [("pending", "http 401", 0)]
    await notice(live, 2)
    assert await staff.send_due() == 0


async def test_a_notice_without_its_facts_fails_and_the_others_are_sent(live: Live) -> None:
    await notice(live, 1, cause="no topic", kind=StaffKind.DEAD_LETTERS)
    await notice(live, 2)
    await sender(live, FakeChannel()).send_due()
    assert [state[:2] for state in await states(live)] == [("failed", "rendering_failed: KeyError"), ("sent", None)]


async def test_a_notice_of_an_unknown_kind_fails_and_the_others_are_sent(live: Live) -> None:
    await notice(live, 1)
    await live.service.pool.execute("UPDATE staff_notices SET kind = 'written_by_a_newer_version'")
    await notice(live, 2)
    await sender(live, FakeChannel()).send_due()
    assert [state[:2] for state in await states(live)] == [("failed", "rendering_failed: ValueError"), ("sent", None)]


async def test_a_notice_that_cannot_be_encoded_fails_and_does_not_hold_up_the_next_batch(live: Live) -> None:
    await notice(live)
    await sender(live, FakeChannel(), "Ops <ops@shop.example>").send_due()
    assert await states(live) == [("failed", "rendering_failed: ValueError", 1)]


_DEAD_LETTER = """
    INSERT INTO dead_letters
        (aggregate, topic, partition, "offset", written_at, key, value, headers, reason, error, blocks)
    SELECT 'conversations', $1, 0, count(*), now(), 'O-1', '', '[]', 'failed', 'ValueError', true FROM dead_letters
    RETURNING id"""


async def dead_letter(live: Live, topic: str) -> int:
    found: int = await live.service.pool.fetchval(_DEAD_LETTER, topic)
    return found


async def test_dead_letters_of_one_topic_are_one_notice(live: Live) -> None:
    first, _, other = [await dead_letter(live, topic) for topic in ("issues", "issues", "loyalty")]
    staff = sender(live, FakeChannel())
    await staff._check_dead_letters()
    facts = sorted(row["facts"] for row in await rows(live))
    assert facts == [f'{{"first": "{first}", "topic": "issues"}}', f'{{"first": "{other}", "topic": "loyalty"}}']


async def test_dead_letters_are_looked_for_only_now_and_then(live: Live) -> None:
    staff = sender(live, FakeChannel())
    await staff._check_dead_letters()
    await dead_letter(live, "issues")
    await staff._check_dead_letters()
    assert await rows(live) == []


async def test_a_solved_incident_and_a_new_one_are_two_notices(live: Live) -> None:
    await dead_letter(live, "issues")
    await sender(live, FakeChannel())._check_dead_letters()
    await live.service.pool.execute("UPDATE dead_letters SET state = 'discarded'")
    await dead_letter(live, "issues")
    await sender(live, FakeChannel())._check_dead_letters()
    assert len(await rows(live)) == 2
