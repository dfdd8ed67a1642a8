"""Settings of the sign-in by OpenID Connect."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints, model_validator
from pydantic_settings import BaseSettings, NoDecode

from libs.common.config.settings import Url
from services.intake.desk.accounts import StaffRole
from services.intake.desk.openid import SCOPE_OF_ROLES, OpenIdProvider


def _parse_roles(value: object) -> object:
    if not isinstance(value, str):
        return value
    roles: dict[str, set[str]] = {}
    for part in filter(None, (piece.strip() for piece in value.split(","))):
        role, separator, given = part.partition("=")
        if not separator or role not in set(StaffRole) or not given.strip():
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
    oidc_roles: Annotated[dict[StaffRole, frozenset[str]], NoDecode, BeforeValidator(_parse_roles)] = Field(
        default_factory=dict
    )
    """Values of the role claim by role: viewer=support,agent=support-agents,admin=support-leads. Others are refused."""
    oidc_role_claim: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "groups"
    """Claim of the ID token that holds the roles, a text or a list; dots lead into nested claims."""
    oidc_name_claim: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "preferred_username"
    """Claim of the ID token that proposes the name of a new account; without it `email`, else `sub`."""
    oidc_scope: Annotated[str, StringConstraints(pattern=r"(^|\s)openid(\s|$)")] = SCOPE_OF_ROLES
    """Scopes that the desk asks for; some providers give roles for one of their own only."""
    desk_url: Url | None = None
    """Public base URL of the desk, where the identity provider sends browsers back to; default: PUBLIC_URL."""
    desk_openid_only: bool = False
    """True closes the sign-in by password; accounts with one keep it for later."""

    @model_validator(mode="after")
    def _openid_is_complete(self) -> Self:
        if self.oidc_issuer is None:
            if self.desk_openid_only:
                raise ValueError("desk_openid_only: true, and no oidc_issuer is set, so nobody could sign in; set one")
            return self
        missing = [
            f"{name}: missing; oidc_issuer needs it"
            for name, value in (
                ("oidc_client_id", self.oidc_client_id),
                ("oidc_client_secret", self.oidc_client_secret),
                ("oidc_roles", self.oidc_roles),
            )
            if not value
        ]
        if missing:
            raise ValueError("; ".join(missing))
        return self

    @property
    def openid_provider(self) -> OpenIdProvider | None:
        if self.oidc_issuer is None or self.oidc_client_secret is None:
            return None
        return OpenIdProvider(
            issuer=self.oidc_issuer,
            client_id=self.oidc_client_id,
            client_secret=self.oidc_client_secret,
            role_claim=self.oidc_role_claim,
            roles=self.oidc_roles,
            name_claim=self.oidc_name_claim,
            scope=self.oidc_scope,
        )
