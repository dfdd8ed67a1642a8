"""kintone, for staff: one record per notice in an app of the shop.

https://kintone.dev/en/docs/kintone/rest-api/records/add-record : `POST /k/v1/record.json`, an app's token in
`X-Cybozu-API-Token`; fields that the app does not have are ignored. There is no idempotency key, so the record carries
ours in the field `notice_id`, set to "prohibit duplicate values" in the app: the second of two equal records is refused
with 400 CB_VA01 about that field, which tells us that the first is there. 429 where too many calls run at once.
"""

import json

import httpx

from services.delivery_notify.channels import http_channel
from services.delivery_notify.channels.channel import Draft, Message, Outcome, Verdict


def open_kintone(url: str, app: int, token: str) -> http_channel.HttpChannel:
    def headers(message: Message) -> dict[str, str]:
        return {"X-Cybozu-API-Token": token}

    def write(draft: Draft) -> Message:
        fields = {"notice_id": str(draft.key), "subject": draft.rendered.subject, "text": draft.rendered.text.strip()}
        record = {code: {"value": value} for code, value in fields.items()}
        return Message(draft.key, draft.address, json.dumps({"app": app, "record": record}).encode())

    return http_channel.HttpChannel("kintone", f"{url.rstrip('/')}/k/v1/record.json", write, headers, _judge)


def _judge(response: httpx.Response) -> Outcome:
    if response.status_code == 400 and _only_the_key(response):
        return Outcome(Verdict.SENT, "accepted before")
    return http_channel.judge(response)


def _only_the_key(response: httpx.Response) -> bool:
    try:
        answer = response.json()
    except ValueError:
        return False
    return answer.get("code") == "CB_VA01" and set(answer.get("errors", {})) == {"record.notice_id.value"}
