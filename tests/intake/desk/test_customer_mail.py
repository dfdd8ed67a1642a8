"""Mails of customers at the desk: work until somebody has answered, with their text, on the issue or as an anomaly."""

from libs.common.events.issues import IssueCustomerWrote
from libs.common.http.reply_addresses import ReplyAddresses
from tests.intake.desk.conftest import Desk
from tests.intake.desk.test_decisions import confirm, hidden
from tests.intake.mail.mails import SHAPES, Mail
from tests.outbox import take_events
from tests.running import LINK_SECRETS, OPS

ADDRESSES = ReplyAddresses([LINK_SECRETS], "reply.shop.example")


async def receive(desk: Desk, mail: Mail) -> None:
    """Receive a mail, and let intake take what it publishes about it."""
    answer = await desk.live.client.post("/v1/mail", content=mail.render(), headers=OPS)
    assert answer.status_code == 202, answer.text
    service = desk.live.service
    for event in await take_events(service.pool):
        if event.type in ("issue.customer_wrote.v1", "anomaly.detected.v1"):
            name = "timeline" if isinstance(event.data, IssueCustomerWrote) else "anomalies"
            await service.execute(service.aggregates[name], event)


async def test_a_mail_is_work_until_it_is_answered(desk: Desk) -> None:
    await receive(desk, Mail(SHAPES["outlook"], to=ADDRESSES.of_issue(desk.case.ids["issue_id"])))
    hanako = await desk.as_("hanako")
    assert "The customer wrote" in (await hanako.get("/desk/work/messages")).text
    page = (await hanako.get(desk.issue)).text
    for shown in ("hanako@example.jp", "蓋にひびが入っています", "The customer wrote a mail", "送信日時"):
        assert shown in page
    (about,) = [
        row["about"]
        for row in await desk.live.service.pool.fetch("SELECT about FROM work_queue WHERE kind = 'message'")
    ]
    form = hidden(await confirm(desk, hanako, f"handled:message {about}", "Answered by mail."))
    await hanako.post(f"{desk.issue}/decide", **form)
    assert "The customer wrote" not in (await hanako.get("/desk/work/messages")).text


async def test_a_mail_of_no_issue_is_shown_with_its_text(desk: Desk) -> None:
    await receive(desk, Mail())
    hanako = await desk.as_("hanako")
    listed = (await hanako.get("/desk/work/anomalies")).text
    assert "A mail that belongs to no issue" in listed
    address = "/desk/anomalies/" + listed.partition("/desk/anomalies/")[2].partition('"')[0]
    page = (await hanako.get(address)).text
    assert "蓋にひびが入っています" in page
    assert "hanako@example.jp" in page


async def test_html_of_a_mail_is_text_at_the_desk(desk: Desk) -> None:
    text = "<script>alert(1)</script> & <b>bold</b>"
    await receive(desk, Mail(text, to=ADDRESSES.of_issue(desk.case.ids["issue_id"])))
    page = (await (await desk.as_("hanako")).get(desk.issue)).text
    assert "<script>alert(1)</script>" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


async def test_a_viewer_reads_the_text_of_a_mail_without_its_sender_and_what_it_quotes(desk: Desk) -> None:
    await receive(desk, Mail(SHAPES["outlook"], to=ADDRESSES.of_issue(desk.case.ids["issue_id"])))
    await receive(desk, Mail(headers={"Message-ID": "<other@example.jp>"}))
    vera = await desk.as_("vera")
    listed = (await vera.get("/desk/work/anomalies")).text
    address = "/desk/anomalies/" + listed.partition("/desk/anomalies/")[2].partition('"')[0]
    for page in [(await vera.get(each)).text for each in (desk.issue, address)]:
        assert ("蓋にひびが入っています" in page, "hanako@example.jp" in page, "送信日時" in page) == (
            True,
            False,
            False,
        )
