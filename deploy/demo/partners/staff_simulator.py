"""The staff of the shop: they approve or refuse reviews and answer mails within some hours."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import httpx

from deploy.demo.partners.codec import ReceivedEvent
from deploy.demo.partners.partner import NO_KEEPALIVE, Partner, PartnerTask, main, run_alone
from deploy.demo.partners.settings import StaffSettings
from libs.common.config.settings import load
from libs.common.events.issues import IssueCustomerWrote, IssueReviewRequested
from libs.common.events.products import ClusterDetected
from libs.common.events.topics import ISSUES, PRODUCT_ALERTS

APPROVAL_SHARE = 0.75
LEFT_REVIEWS = timedelta(days=9)
"""Reviews are few: those of the last days are left as well."""

LEFT_MAILS = timedelta(days=3)
"""Mails of the last days are left for the visitor of the desk."""

REPLY = "ご連絡くださり、ありがとうございます。\n内容を拝見し、手続きを進めております。"
REPLY_WITH_PHOTOS = "お写真をお送りくださり、ありがとうございます。\n拝見のうえ、手続きを進めております。"

DETAILS_MISSING = "details_missing"
"""The cause of intake's own reviews; returns decides all others."""


@dataclass
class StaffSimulator:
    partner: Partner
    http: httpx.AsyncClient
    intake_url: str = ""
    handled: set[str] = field(default_factory=set)
    responses: dict[int, int] = field(default_factory=dict)

    def handle(self, received: ReceivedEvent) -> None:
        match received.event.data:
            case IssueReviewRequested() as review if received.event.id not in self.handled:
                self.handled.add(received.event.id)
                if self.partner.is_quiet(received.event.time + LEFT_REVIEWS):
                    return
                rng = self.partner.rng(review.issue_id, review.cause, received.event.time.date())
                at = received.event.time + timedelta(minutes=rng.uniform(30, 300))
                approved = rng.random() < APPROVAL_SHARE
                self.partner.schedule(at, partial(self._decide_review, review, received.event.id, approved))
            case IssueCustomerWrote() as wrote if self.intake_url and received.event.id not in self.handled:
                self.handled.add(received.event.id)
                if self.partner.is_quiet(received.event.time + LEFT_MAILS):
                    return
                at = received.event.time + timedelta(minutes=self.partner.rng(wrote.message_id).uniform(20, 180))
                self.partner.schedule(at, partial(self._reply, wrote, received.event.id))
            case ClusterDetected() as cluster if received.event.id not in self.handled:
                self.handled.add(received.event.id)
                at = received.event.time + timedelta(minutes=90)
                self.partner.schedule(at, partial(self._approve_hold, cluster, received.event.id))
            case _:
                return

    async def _reply(self, wrote: IssueCustomerWrote, key: str) -> None:
        """Answer the mail; the message ends its work at the desk."""
        text = REPLY_WITH_PHOTOS if wrote.photos else REPLY
        body = {"staff": "demo-ops", "text": text, "answers": [str(wrote.message_id)]}
        url = f"{self.intake_url}/v1/issues/{wrote.issue_id}/replies"
        self._count((await self.http.post(url, json=body, headers={"Idempotency-Key": key})).status_code)

    async def _approve_hold(self, cluster: ClusterDetected, key: str) -> None:
        """Hold the lot and warn its buyers."""
        body = {
            "approve": True,
            "staff": "demo-ops",
            "comment": f"{cluster.reported_orders} reports, too many for chance",
        }
        url = f"{self.intake_url}/v1/insights/clusters/{cluster.cluster_id}/decision"
        answer = await self.http.post(url, json=body, headers={"Idempotency-Key": key})
        self._count(answer.status_code)

    async def _decide_review(self, review: IssueReviewRequested, key: str, approved: bool) -> None:
        """The service refuses a decision about a review that was settled meanwhile."""
        if review.cause == DETAILS_MISSING and self.intake_url:
            await self._decide_report(f"{self.intake_url}/v1/issues/{review.issue_id}", key, approved)
            return
        path = f"/v1/cases/{review.issue_id}/reviews/{review.cause}"
        answer = await self.http.post(path, json={"approved": approved}, headers={"Idempotency-Key": key})
        self._count(answer.status_code)

    def _count(self, status: int) -> None:
        self.responses[status] = self.responses.get(status, 0) + 1

    async def _decide_report(self, issue: str, key: str, approved: bool) -> None:
        """Decide a report without details at intake, with the name of the staff member and a comment."""
        seen = (await self.http.get(issue)).json()
        decision = {
            "action": "approve_review" if approved else "refuse_review",
            "review": DETAILS_MISSING,
            "staff": "demo-ops",
            "comment": "お客様のお話に筋が通っています" if approved else "写真もお返事もいただけませんでした",
            "expected_version": seen.get("version", 0),
        }
        answer = await self.http.post(f"{issue}/decisions", json=decision, headers={"Idempotency-Key": key})
        self._count(answer.status_code)

    def details(self) -> dict[str, Any]:
        return {"responses": self.responses}


@asynccontextmanager
async def staff(settings: StaffSettings) -> AsyncIterator[PartnerTask]:
    partner = Partner("ops", settings, (ISSUES, PRODUCT_ALERTS))
    headers = {"Authorization": f"Bearer {settings.api_key.get_secret_value()}"}
    async with httpx.AsyncClient(
        base_url=settings.returns_url, headers=headers, timeout=30, limits=NO_KEEPALIVE
    ) as http:
        ops = StaffSimulator(partner, http, settings.intake_url)
        partner.details = ops.details
        yield PartnerTask(partner, ops.handle)


async def run() -> None:
    async with staff(load(StaffSettings)) as job:
        await run_alone(job)


if __name__ == "__main__":
    main(run)
