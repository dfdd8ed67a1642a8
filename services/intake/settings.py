"""Settings of intake."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints, model_validator
from pydantic_settings import NoDecode

from libs.common.decisions.shop_calendar import ShopCalendar
from libs.common.http.signed_links import LinkSecrets
from libs.common.http.standard_webhooks import WebhookSecrets
from services.intake.evidence.storage import S3Access
from services.intake.policy.business_hours import BusinessHours
from services.intake.storefronts.secrets import ShopifySecrets
from services.intake.web.settings import PageSettings


def _days(value: object) -> object:
    if not isinstance(value, str):
        return value
    days = [part.strip() for part in value.split(",") if part.strip()]
    if not all(day in "0123456" and len(day) == 1 for day in days):
        raise ValueError("write weekdays as numbers, separated by commas: 0 is Monday, 6 is Sunday")
    return tuple(map(int, days))


class IntakeSettings(PageSettings):
    """Photos are kept at `evidence_url`, or in the folder `evidence_dir` that all processes of intake share."""

    evidence_url: Annotated[str, StringConstraints(pattern=r"^(file:///\S+|s3://[^/\s]+(/\S*)?)$")] | None = None
    """`file:///folder` or `s3://bucket/prefix`."""
    evidence_dir: Path | None = None
    """Folder for photos; an alternative to `EVIDENCE_URL` for one machine."""
    evidence_s3_endpoint: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+[^\s]*$")] | None = None
    """Endpoint of an S3-compatible store other than Amazon S3."""
    evidence_s3_region: str | None = None
    """Region of the S3 bucket."""
    evidence_s3_access_key: str | None = None
    """Access key of the S3 bucket; default: the credentials of the environment."""
    evidence_s3_secret_key: SecretStr | None = None
    """Secret key of the S3 bucket."""
    public_url: Annotated[str, StringConstraints(pattern=r"^https?://[^\s/]+[^\s]*$")]
    """Public base URL of this service; prefix of the links to its pages."""
    link_secrets: LinkSecrets
    """Secrets of signed links, shared with delivery_notify, whose mails link to our pages."""
    webhook_secrets: WebhookSecrets = ()
    """Signing secrets of Standard Webhooks; unset disables the route."""
    shopify_secrets: ShopifySecrets = ()
    """Client secrets of the shop's Shopify app; unset disables the route."""
    evidence_retention_days: Annotated[int, Field(ge=1)] = 180
    """Retention of photos after their issue was closed."""
    free_text_retention_days: Annotated[int, Field(ge=1)] = 365
    """Retention of descriptions after their issue was closed."""
    photos_per_issue: Annotated[int, Field(ge=1, le=50)] = 10
    """Photos accepted per issue."""
    shop_country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}$")] = "JP"
    """Country whose public holidays are closed days."""
    shop_closed_weekdays: Annotated[tuple[int, ...], NoDecode, BeforeValidator(_days)] = (5, 6)
    """Weekdays on which the shop is closed, 0 (Monday) to 6 with commas between them."""
    shop_opens: Annotated[int, Field(ge=0, le=22)] = 10
    """Hour at which the shop's staff start to answer."""
    shop_closes: Annotated[int, Field(ge=1, le=23)] = 18
    """Full hours, local: response targets are measured in business hours."""

    @model_validator(mode="after")
    def _goes_together(self) -> Self:
        if self.evidence_url is None and self.evidence_dir is None:
            raise ValueError("evidence_url: missing; set file:///folder or s3://bucket/prefix")
        _ = self.business_hours
        return self

    @property
    def evidence_location(self) -> str:
        return self.evidence_url or (self.evidence_dir or Path()).absolute().as_uri()

    @property
    def s3_access(self) -> S3Access:
        return S3Access(
            self.evidence_s3_endpoint,
            self.evidence_s3_region,
            self.evidence_s3_access_key,
            self.evidence_s3_secret_key,
        )

    @property
    def business_hours(self) -> BusinessHours:
        calendar = ShopCalendar(self.zone, self.shop_country, self.shop_closed_weekdays)
        return BusinessHours(calendar, self.shop_opens, self.shop_closes)
