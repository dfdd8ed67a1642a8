"""Settings of intake, its desk and its customer pages."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    StringConstraints,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import BaseSettings, NoDecode

from libs.common.config.calendar_file import CalendarSettings
from libs.common.config.settings import Url
from libs.common.http.signed_links import LinkSecrets
from libs.common.http.standard_webhooks import WebhookSecrets, long_secrets
from libs.common.web.brand import Brand
from libs.common.web.colors import DEFAULT_COLOR, Color
from services.intake.policy.canned_responses import BUNDLED_RESPONSES, read_canned_responses


def _parse_urls(value: object) -> object:
    if not isinstance(value, str):
        return value
    urls: dict[str, str] = {}
    for part in filter(None, (piece.strip() for piece in value.split(","))):
        name, separator, url = part.partition("=")
        if not separator or urlsplit(url).scheme not in ("http", "https"):
            raise ValueError(f"{part!r} is no address of a service; write service=http://address, separated by commas")
        urls[name] = url.rstrip("/")
    return urls


def _parse_origins(value: object) -> object:
    if not isinstance(value, str):
        return value
    origins = tuple(filter(None, (part.strip().rstrip("/") for part in value.split(","))))
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.path or any(c in origin for c in " ;'\""):
            raise ValueError(
                f"{origin!r} is no origin; write origins such as https://shop.example, separated by commas"
            )
    return origins


def _check_trace_url(value: str) -> str:
    if "{trace_id}" not in value:
        raise ValueError("contains no {trace_id}; write for example http://localhost:16686/trace/{trace_id}")
    return value


def _readable_responses(file: Path) -> Path:
    read_canned_responses(file)
    return file


ShopifySecrets = Annotated[tuple[SecretStr, ...], NoDecode, long_secrets("the client secret of the Shopify app")]
"""The secrets that Shopify signs with: several at once, so that one is changed without a pause."""


StaffRoleName = Literal["viewer", "agent", "admin"]
"""Roles of the desk, as `services.intake.desk.accounts.StaffRole` has them."""


def _parse_roles(value: object) -> object:
    if not isinstance(value, str):
        return value
    roles: dict[str, set[str]] = {}
    for part in filter(None, (piece.strip() for piece in value.split(","))):
        role, separator, given = part.partition("=")
        if not separator or role not in get_args(StaffRoleName) or not given.strip():
            raise ValueError(
                f"{part!r} gives no role; write viewer=, agent= or admin= and a value of the claim, separated by commas"
            )
        roles.setdefault(role, set()).add(given.strip())
    return roles


class OpenIdSettings(BaseSettings):
    """Sign-in of staff by an identity provider; without an issuer there are passwords only."""

    oidc_issuer: Url | None = None
    """Issuer of the identity provider, exactly as its configuration names it; unset: staff sign in by password."""
    oidc_client_id: Annotated[str, StringConstraints(max_length=200)] = ""
    """Client id of the desk at the identity provider."""
    oidc_client_secret: SecretStr | None = None
    """Client secret of the desk at the identity provider."""
    oidc_roles: Annotated[dict[StaffRoleName, frozenset[str]], NoDecode, BeforeValidator(_parse_roles)] = Field(
        default_factory=dict
    )
    """Values of the role claim by role: viewer=support,agent=support-agents,admin=support-leads. Others are refused."""
    oidc_role_claim: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "groups"
    """Claim of the ID token that holds the roles, a text or a list; dots lead into nested claims."""
    oidc_name_claim: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "preferred_username"
    """Claim of the ID token that proposes the name of a new account; without it `email`, else `sub`."""
    oidc_scope: Annotated[str, StringConstraints(pattern=r"(^|\s)openid(\s|$)")] = "openid profile email"
    """Scopes that the desk asks for; some providers give roles for one of their own only."""
    desk_url: Url | None = None
    """Public base URL of the desk, where the identity provider sends browsers back to; default: PUBLIC_URL."""
    desk_openid_only: bool = False
    """True closes the sign-in by password; accounts with one keep it for later."""

    @field_validator("oidc_client_id", "oidc_client_secret", "oidc_roles")
    @classmethod
    def _goes_with_issuer(cls, value: Any, others: ValidationInfo) -> Any:
        """Checked per field, since a check of the whole model would not run beside another fault."""
        if not value and others.data.get("oidc_issuer"):
            raise ValueError("missing; OIDC_ISSUER needs it")
        return value

    @field_validator("desk_openid_only")
    @classmethod
    def _has_issuer(cls, value: bool, others: ValidationInfo) -> bool:
        if value and others.data.get("oidc_issuer", "invalid") is None:
            raise ValueError("true, and no OIDC_ISSUER is set, so nobody could sign in; set one")
        return value


class PageSettings(OpenIdSettings, CalendarSettings):
    """Settings of the desk and of customer pages."""

    shop_name: Annotated[str, StringConstraints(min_length=1, max_length=80)] = "Sakidashi"
    """Name of the shop on customer pages."""
    shop_contact: Annotated[str, StringConstraints(max_length=200)] = ""
    """Contact of staff for customers: a telephone number with hours, or a mail address. Shown unchanged."""
    shop_logo_url: Url | None = None
    """Logo above customer pages, at most 40 pixels high as shown; the same as in mails."""
    shop_color: Color = DEFAULT_COLOR
    """Colour of buttons and links on customer pages, `#rrggbb`, dark enough for white text; the same as in mails."""
    embed_origins: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_parse_origins)] = ()
    """Origins that may embed the report form, separated by commas."""
    order_lookup: Literal["postcode_or_mail", "mail", "off"] = "postcode_or_mail"
    """Proof, beside the order number, that opens an order without a link: at `/find`. A label on a parcel shows the
    postcode; `mail` accepts the mail address of the order only."""
    canned_responses_file: Annotated[Path, AfterValidator(_readable_responses)] = BUNDLED_RESPONSES
    """File of the texts from which staff start a reply to a customer."""
    desk_secure_cookies: bool = True
    """False only without TLS, on a development machine."""
    desk_idle_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 30
    """Minutes without a request after which a desk session ends."""
    desk_session_hours: Annotated[int, Field(ge=1, le=24 * 30)] = 12
    """Hours after which a desk session ends in any case."""
    ops_urls: Annotated[dict[str, str], NoDecode, BeforeValidator(_parse_urls)] = Field(default_factory=dict)
    """Addresses of the other services for their dead letters and figures: returns=http://returns:8000,..."""
    ops_key: SecretStr | None = None
    """API key of the desk for their ops routes."""
    notices_url: Url | None = None
    """Address of delivery_notify for staff, for sent mails; unset hides the links."""
    trace_url: Annotated[str, AfterValidator(_check_trace_url)] | None = None
    """URL template of a trace with {trace_id}; unset hides the links."""

    @property
    def brand(self) -> Brand:
        return Brand(self.shop_name, self.shop_logo_url or "", self.shop_color)

    @property
    def desk_idle_timeout(self) -> timedelta:
        return timedelta(minutes=self.desk_idle_minutes)

    @property
    def desk_session_lifetime(self) -> timedelta:
        return timedelta(hours=self.desk_session_hours)


class IntakeSettings(PageSettings):
    """Photos are kept at `evidence_url`, or in the folder `evidence_dir` that all processes of intake share."""

    evidence_url: Annotated[str, StringConstraints(pattern=r"^(file:///\S+|s3://[^/\s]+(/\S*)?)$")] | None = None
    """`file:///folder` or `s3://bucket/prefix`."""
    evidence_dir: Path | None = None
    """Folder for photos; an alternative to `EVIDENCE_URL` for one machine."""
    evidence_s3_endpoint: Url | None = None
    """Endpoint of an S3-compatible store other than Amazon S3."""
    evidence_s3_region: str | None = None
    """Region of the S3 bucket."""
    evidence_s3_access_key: str | None = None
    """Access key of the S3 bucket; default: the credentials of the environment."""
    evidence_s3_secret_key: SecretStr | None = None
    """Secret key of the S3 bucket."""
    public_url: Url
    """Public base URL of this service; prefix of the links to its pages. A proxy may serve them below its path."""
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
    contact_retention_days: Annotated[int, Field(ge=30)] = 730
    """Days after an order for which its contact and postcode are kept, for the order lookup and for staff."""
    photos_per_issue: Annotated[int, Field(ge=1, le=50)] = 10
    """Photos accepted per issue."""

    @field_validator("evidence_dir")
    @classmethod
    def _has_place(cls, value: Path | None, others: ValidationInfo) -> Path | None:
        """Checked per field, since a check of the whole model would not run beside another fault."""
        if value is None and others.data.get("evidence_url", "invalid") is None:
            raise ValueError("missing, and EVIDENCE_URL as well; set that to file:///folder or s3://bucket/prefix")
        return value

    @property
    def evidence_location(self) -> str:
        return self.evidence_url or (self.evidence_dir or Path()).absolute().as_uri()
