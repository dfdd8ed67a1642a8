"""Settings of delivery_notify, besides those of every service and of its channels."""

from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, DirectoryPath, Field

from libs.common.config.settings import Url
from libs.common.http.signed_links import LinkSecrets
from libs.common.web.colors import DEFAULT_COLOR, Color
from services.delivery_notify.channels.settings import ChannelSettings
from services.delivery_notify.policy.handling_times import BUNDLED_HANDLING_TIMES, read_handling_times

OneLine = Annotated[str, Field(max_length=300, pattern=r"^[^\n\r|]*$")]


def _readable(file: Path) -> Path:
    read_handling_times(file)
    return file


class NotifySettings(ChannelSettings):
    public_url: Url
    """URL at which customers reach this service; prefix of the links in mails."""
    customer_pages_url: Url | None = None
    """URL at which customers reach intake's status page and survey; without it mails do not link to them."""
    link_secrets: LinkSecrets
    """Secrets that sign links; the same as intake's, whose pages verify the links in our mails."""
    handling_times_file: Annotated[Path, AfterValidator(_readable)] = BUNDLED_HANDLING_TIMES
    """File of the ship dates of orders that come without one."""
    ship_cutoff: time | None = None
    """Hour of a promised day after which nothing ships (HH:MM, shop time zone); see `notification_rules.toml`."""
    delivery_cutoff: time | None = None
    """Hour of a promised day after which nothing is delivered (HH:MM, shop time zone)."""
    preorder_update_schedule: Literal["half_month", "from_order"] | None = None
    """Schedule of preorder reports: on the 1st and the 15th, or every 15 days from the order."""
    notice_batching_minutes: Annotated[int, Field(ge=0, le=60)] | None = None
    """Minutes that a moved date is held back to batch related changes; see `notification_rules.toml`."""
    forecast_minimum_dates: Annotated[int, Field(ge=5, le=10_000)] | None = None
    """Dates of a warehouse or carrier below which there is no forecast of lateness; see `notification_rules.toml`."""
    templates_dir: DirectoryPath | None = None
    """Folder with the shop's own templates, named as the built-in ones; checked at start-up."""
    grace_minutes: Annotated[int, Field(ge=0, le=60)] | None = None
    """Minutes that an overdue notice is held back, for a shipment that is just being reported."""
    shop_seller: OneLine = ""
    """Seller with address and telephone, on one line, as Japan's law on mail order requires in the acceptance of a
    prepaid order (Act on Specified Commercial Transactions, art. 13) and the law on advertising mail in each such mail:
    without it none is sent. Default: the shop's name alone."""
    shop_person: OneLine = ""
    """Person or team that signs the mails."""
    shop_contact: OneLine = ""
    """Telephone number with its hours, or a mail address, in the signature of mails; the same as intake's."""
    shop_url: Url | None = None
    """Address of the shop's website, in the signature of mails."""
    shop_logo_url: Url | None = None
    """Picture above the mails, at most 40 pixels high as shown; needs a public `https` address."""
    shop_color: Color = DEFAULT_COLOR
    """Colour of buttons and links in mails, `#rrggbb`, dark enough for white text (contrast 4.5)."""
    contact_retention_days: Annotated[int, Field(ge=30)] = 730
    """Days after an order for which its contact is kept; must exceed the period for reports."""
    free_text_retention_days: Annotated[int, Field(ge=1)] = 365
    """Days after a reply of staff was sent for which its words are kept; as for the words in intake."""
    notice_retention_days: Annotated[int, Field(ge=30)] = 400
    """Days for which a sent notice is kept; the promise ledger stays."""

    def rule_overrides(self) -> dict[str, Any]:
        """Return the rules of `notification_rules.toml` that these settings override."""
        return {
            "handling": read_handling_times(self.handling_times_file),
            "ship_cutoff": self.ship_cutoff,
            "delivery_cutoff": self.delivery_cutoff,
            "preorder_schedule": self.preorder_update_schedule,
            "batching_delay": None
            if self.notice_batching_minutes is None
            else timedelta(minutes=self.notice_batching_minutes),
            "forecast_minimum_dates": self.forecast_minimum_dates,
            "overdue_grace": None if self.grace_minutes is None else timedelta(minutes=self.grace_minutes),
        }
