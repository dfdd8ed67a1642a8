"""What a webhook told: facts of the contract, each under a name that is the same whenever it is told again."""

from dataclasses import dataclass

from libs.common.events.envelope import Payload


@dataclass(frozen=True, slots=True)
class WebhookEvent:
    """`name` is the caller's idempotency key: the same fact of the same thing, in whichever webhook it comes.

    `unclear`: a report that does not say what is wrong; a human looks at it.
    """

    idempotency_key: str
    fact: Payload
    unclear: bool = False


class WebhookContentError(Exception):
    """A signed webhook that says something we cannot take: `field` and what would be right."""

    def __init__(self, code: str, field: str, message: str) -> None:
        super().__init__(message)
        self.code, self.field = code, field
