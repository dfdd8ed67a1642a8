"""LINE: a push message of the Messaging API to a user who is a friend of the shop's official account.

https://developers.line.biz/en/docs/messaging-api/retrying-api-request/ : with the same `X-Line-Retry-Key` a message
is accepted once for 24 hours; 409 says that it was, 5xx and timeouts are tried again, other 4xx are not. Our attempts
end after about ten hours. https://developers.line.biz/en/reference/messaging-api/ : 400 where the user is not there;
429 for too many calls, and for a month's messages being used up, which no waiting mends: the next way is taken.
"""

import json

import httpx

from services.delivery_notify.channels import http_channel
from services.delivery_notify.channels.channel import Draft, Message, Outcome, Verdict

LONGEST_TEXT = 5_000
"""UTF-16 code units in one text message."""


def open_line(access_token: str, api_url: str) -> http_channel.HttpChannel:
    def headers(message: Message) -> dict[str, str]:
        return {"Authorization": f"Bearer {access_token}", "X-Line-Retry-Key": str(message.key)}

    return http_channel.HttpChannel("line", f"{api_url.rstrip('/')}/v2/bot/message/push", _write, headers, _judge)


def _write(draft: Draft) -> Message:
    text = f"{draft.rendered.subject}\n\n{draft.rendered.text.strip()}"
    if len(text.encode("utf-16-le")) // 2 > LONGEST_TEXT:
        text = draft.rendered.brief
    body = {"to": draft.address, "messages": [{"type": "text", "text": text}]}
    return Message(draft.key, draft.address, json.dumps(body, ensure_ascii=False).encode())


def _judge(response: httpx.Response) -> Outcome:
    if response.status_code == 409:
        return Outcome(Verdict.SENT, "accepted before")
    if response.status_code == 429 and "monthly limit" in response.text:
        return Outcome(Verdict.REFUSED, "http 429 monthly limit")
    if response.status_code == 400:
        gone = "'to'" in response.text or "Failed to send messages" in response.text
        return Outcome(Verdict.REFUSED, "http 400", dead_address=gone)
    return http_channel.judge(response)
