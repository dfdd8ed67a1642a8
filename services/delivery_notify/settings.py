"""Settings of delivery_notify, beside those of every service and those of its ways out."""

from datetime import time, timedelta
from typing import Annotated, Any, Literal

from pydantic import DirectoryPath, Field

from libs.common.http.signed_links import LinkSecrets
from services.delivery_notify.channels.settings import ChannelSettings, Url


class Settings(ChannelSettings):
    public_url: Url
    """Where customers reach this service; links in mails begin with it."""
    customer_pages_url: Url | None = None
    """Where customers reach intake's status page and survey; no mail links to them where it is not set."""
    link_secrets: LinkSecrets
    """The same as intake's, whose pages read the links in our mails."""
    ship_cutoff: time | None = None
    """Hour of a promised day after which nothing ships (HH:MM, shop time zone); see `notification_rules.toml`."""
    delivery_cutoff: time | None = None
    """The hour of a promised day after which no parcel is delivered any more."""
    preorder_update_schedule: Literal["half_month", "from_order"] | None = None
    """When preorders hear how it goes: on the 1st and the 15th, or every 15 days from the order."""
    notice_batching_minutes: Annotated[int, Field(ge=0, le=60)] | None = None
    """Minutes that a moved date is held back to batch related changes; see `notification_rules.toml`."""
    templates_dir: DirectoryPath | None = None
    """A folder with templates of the shop's own, under the names they have in ours; checked at the start."""
    grace_minutes: Annotated[int, Field(ge=0, le=60)] | None = None
    """So long a notice about silence is held back, for a shipment that is just being reported."""
    shop_seller: Annotated[str, Field(max_length=300, pattern=r"^[^\n\r|]*$")] = ""
    """Who sells, with address and telephone, on one line: what Japan's law on mail order wants in the acceptance of a
    prepaid order (Act on Specified Commercial Transactions, art. 13). Without it the shop's name stands there alone."""
    contact_retention_days: Annotated[int, Field(ge=30)] = 730
    """How long it is known after an order how to reach its customer: longer than anything can be reported."""
    notice_retention_days: Annotated[int, Field(ge=30)] = 400
    """How long a notice that was sent can be shown as it was sent; that it was told stays in the ledger of promises."""
    sender_poll_seconds: Annotated[float, Field(gt=0, le=10)] = 0.25
    """How often the sender looks for what has become due."""

    def changed_rules(self) -> dict[str, Any]:
        """What these settings change in `notification_rules.toml`."""
        return {
            "ship_cutoff": self.ship_cutoff,
            "arrival_cutoff": self.delivery_cutoff,
            "rhythm": self.preorder_update_schedule,
            "gather": None if self.notice_batching_minutes is None else timedelta(minutes=self.notice_batching_minutes),
            "grace": None if self.grace_minutes is None else timedelta(minutes=self.grace_minutes),
        }
