"""Events of a webhook, each with an idempotency key that is stable across redeliveries."""

from collections.abc import Sequence
from dataclasses import dataclass

from libs.common.events.envelope import Payload
from libs.common.events.faults import Fault


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """One event; `idempotency_key` is the same in whichever webhook it comes.

    `unclear`: a report without a clear reason, for review by staff. `covers` are the keys of later events that would
    state nothing new once this one is published.
    """

    idempotency_key: str
    payload: Payload
    unclear: bool = False
    covers: tuple[str, ...] = ()


class WebhookContentError(Exception):
    """A signed webhook with invalid content: `field`, and what would be right. `faults` holds all of them."""

    def __init__(self, code: str, field: str, message: str, faults: Sequence[Fault] = ()) -> None:
        super().__init__(message)
        self.code, self.field = code, field
        self.faults = tuple(faults) or ((field, message),)
