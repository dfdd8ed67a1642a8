"""kintone channel for staff notices: one record per notice in an app of the shop.

https://kintone.dev/en/docs/kintone/rest-api/records/add-record : `POST /k/v1/record.json`, an app's token in
`X-Cybozu-API-Token`; fields that the app does not have are ignored. kintone has no idempotency key: the field
`notice_id` must be set to "prohibit duplicate values" in the app, so that a repeated record is refused with 400
CB_VA01 about that field, which counts as sent. 429 is the limit of concurrent calls.
"""

import json

import httpx

from services.delivery_notify.channels import http_channel
from services.delivery_notify.channels.channel import EncodedMessage, MessageDraft, SendOutcome, SendStatus


def kintone_channel(url: str, app: int, token: str) -> http_channel.HttpChannel:
    def headers(message: EncodedMessage) -> dict[str, str]:
        return {"X-Cybozu-API-Token": token}

    def encode(draft: MessageDraft) -> EncodedMessage:
        fields = {
            "notice_id": str(draft.idempotency_key),
            "subject": draft.rendered.subject,
            "text": draft.rendered.text.strip(),
        }
        record = {code: {"value": value} for code, value in fields.items()}
        return EncodedMessage(draft.idempotency_key, draft.address, json.dumps({"app": app, "record": record}).encode())

    return http_channel.HttpChannel("kintone", f"{url.rstrip('/')}/k/v1/record.json", encode, headers, _classify)


def _classify(response: httpx.Response) -> SendOutcome:
    if response.status_code == 400 and _is_duplicate(response):
        return SendOutcome(SendStatus.SENT, "already_accepted")
    return http_channel.classify_response(response)


def _is_duplicate(response: httpx.Response) -> bool:
    try:
        answer = http_channel.json_object(response)
    except ValueError:
        return False
    errors = answer.get("errors")
    return answer.get("code") == "CB_VA01" and isinstance(errors, dict) and set(errors) == {"record.notice_id.value"}
