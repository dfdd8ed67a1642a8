"""Events of a webhook, each with an idempotency key that is stable across redeliveries."""

from dataclasses import dataclass

from libs.common.events.envelope import Payload


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One event; `idempotency_key` is the same in whichever webhook it comes.

    `unclear`: a report without a clear reason, for review by staff.
    """

    idempotency_key: str
    fact: Payload
    unclear: bool = False


class WebhookContentError(Exception):
    """A signed webhook with invalid content: `field`, and what would be right."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.code, self.field = code, field
