"""Slack, for staff: an incoming webhook, or `chat.postMessage` with a bot's token.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks : 400 for a message it cannot take;
403, 404 and 410 where hook or channel are gone. https://docs.slack.dev/reference/methods/chat.postMessage : always 200,
with `ok` and `error` in the body; 429 with `Retry-After`, about one message a second. Neither knows an idempotency key:
when we die between sending and recording, staff see a message twice.
"""

import json

import httpx

from services.delivery_notify.channels import http_channel
from services.delivery_notify.channels.channel import Draft, Message, Outcome, Verdict

_LATER = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable", "team_added_to_org"})
_REFUSED = frozenset({"msg_too_long", "no_text", "invalid_blocks", "invalid_arguments", "invalid_charset"})
LONGEST_TEXT = 4_000


def open_slack_hook(url: str) -> http_channel.HttpChannel:
    return http_channel.HttpChannel(
        "slack", url, lambda draft: _write(draft, {}), lambda message: {}, http_channel.judge
    )


def open_slack(token: str, channel: str, api_url: str) -> http_channel.HttpChannel:
    def headers(message: Message) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    url = f"{api_url.rstrip('/')}/chat.postMessage"
    return http_channel.HttpChannel("slack", url, lambda draft: _write(draft, {"channel": channel}), headers, _judge)


def _write(draft: Draft, more: dict[str, str]) -> Message:
    text = f"*{_escaped(draft.rendered.subject)}*\n{_escaped(draft.rendered.text.strip())}"
    return Message(draft.key, draft.address, json.dumps({**more, "text": text[:LONGEST_TEXT]}).encode())


def _escaped(text: str) -> str:
    """The three characters that mean something in Slack's text."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _judge(response: httpx.Response) -> Outcome:
    if not response.is_success:
        return http_channel.judge(response)
    try:
        answer = response.json()
    except ValueError:
        return Outcome(Verdict.LATER, "slack: no JSON")
    error = str(answer.get("error", "unknown"))
    if answer.get("ok") is True:
        return Outcome(Verdict.SENT)
    if error in _REFUSED:
        return Outcome(Verdict.REFUSED, f"slack: {error}")
    return Outcome(
        Verdict.LATER if error in _LATER else Verdict.AWAY, f"slack: {error}", http_channel.retry_after(response)
    )
