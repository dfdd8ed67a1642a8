"""Slack channel for staff notices: an incoming webhook, or `chat.postMessage` with a bot's token.

https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
https://api.slack.com/changelog/2016-05-17-changes-to-errors-for-incoming-webhooks : 400 for an invalid message; 403,
404 and 410 for a removed webhook or channel. https://docs.slack.dev/reference/methods/chat.postMessage : always 200,
with `ok` and `error` in the body; 429 with `Retry-After`, about one message a second. Neither has an idempotency key:
after a crash between sending and recording, staff see a message twice.
"""

import json
import re

import httpx

from services.delivery_notify.channels import http_channel
from services.delivery_notify.channels.channel import EncodedMessage, MessageDraft, SendOutcome, SendStatus

_TEMPORARY = frozenset({"internal_error", "fatal_error", "request_timeout", "service_unavailable", "team_added_to_org"})
_PERMANENT = frozenset({"msg_too_long", "no_text", "invalid_blocks", "invalid_arguments", "invalid_charset"})
MAX_TEXT_LENGTH = 4_000
_ERROR_CODE = re.compile(r"[a-z0-9_]{1,60}")


def slack_webhook_channel(url: str) -> http_channel.HttpChannel:
    return http_channel.HttpChannel(
        "slack", url, lambda draft: _encode(draft, {}), lambda message: {}, http_channel.classify_response
    )


def slack_bot_channel(token: str, channel: str, api_url: str) -> http_channel.HttpChannel:
    def headers(message: EncodedMessage) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    url = f"{api_url.rstrip('/')}/chat.postMessage"
    return http_channel.HttpChannel(
        "slack", url, lambda draft: _encode(draft, {"channel": channel}), headers, _classify
    )


def _encode(draft: MessageDraft, fields: dict[str, str]) -> EncodedMessage:
    text = f"*{_escape(draft.rendered.subject)}*\n{_escape(draft.rendered.text.strip())}"
    return EncodedMessage(
        draft.idempotency_key, draft.address, json.dumps({**fields, "text": text[:MAX_TEXT_LENGTH]}).encode()
    )


def _escape(text: str) -> str:
    """Escape the control characters of Slack's mrkdwn."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _code(error: object) -> str:
    """Return an error code of Slack; "unknown" for anything else, which must not get into our records."""
    return error if isinstance(error, str) and _ERROR_CODE.fullmatch(error) else "unknown"


def _classify(response: httpx.Response) -> SendOutcome:
    if not response.is_success:
        return http_channel.classify_response(response)
    try:
        answer = http_channel.json_object(response)
    except ValueError:
        return SendOutcome(SendStatus.TEMPORARY_FAILURE, "slack: invalid JSON")
    error = _code(answer.get("error"))
    if answer.get("ok") is True:
        return SendOutcome(SendStatus.SENT)
    if error in _PERMANENT:
        return SendOutcome(SendStatus.PERMANENT_FAILURE, f"slack: {error}")
    return SendOutcome(
        SendStatus.TEMPORARY_FAILURE if error in _TEMPORARY else SendStatus.CHANNEL_UNAVAILABLE,
        f"slack: {error}",
        http_channel.parse_retry_after(response),
    )
