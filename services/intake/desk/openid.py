"""Sign-in of staff by the identity provider of the shop: OpenID Connect, authorization code with PKCE, by Authlib.

The provider knows who somebody is, asks for a second factor, and says by a claim which role they have: a role is read
at each sign-in, and who has none is refused. Somebody who has left the provider cannot sign in again, and an open
session of theirs ends with its lifetime at the latest. An account is known by issuer and subject: a name that the
provider gives to another person, or that an account with a password has here, opens nothing.

State, nonce and code verifier wait in a signed cookie of ten minutes, not in the database: anybody can begin a sign-in.
Starlette's `SessionMiddleware` was rejected, because it would put such a cookie on every route of intake.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from time import monotonic
from typing import Any

import httpx
from pydantic import SecretStr

from services.intake.desk.accounts import StaffRole

CALLBACK_PATH = "/desk/sign-in/openid/callback"
TIMEOUT_SECONDS = 10
MAX_SUBJECT_LENGTH = 255
"""Characters of `sub`, OpenID Connect Core 1.0, section 2."""
CONFIGURATION_SECONDS = 3600.0
"""Time for which configuration and keys of the provider are kept; a key that it withdrew is trusted no longer."""
_REQUIRED = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_MAX_NAME_LENGTH = 36  # of the 40 of an account, so that a number fits behind it


class ProviderUnreachableError(Exception):
    """The provider did not answer, or with something that is not OpenID Connect; the message says how."""


class ProviderAnswerError(Exception):
    """The answer of the provider to this sign-in is not valid: forged, of another sign-in, expired, or an error."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A person as the provider names them. `name` is proposed for a new account; `role` None: no right to the desk."""

    issuer: str
    subject: str
    name: str
    role: StaffRole | None


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """A sign-in that was begun: where the browser goes, and what its answer is checked against."""

    address: str
    state: str
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class OpenIdProvider:
    """The provider as it is set. `roles` holds the values of `role_claim` that give each role."""

    issuer: str
    client_id: str
    client_secret: SecretStr
    role_claim: str
    roles: Mapping[StaffRole, frozenset[str]]
    name_claim: str
    scope: str


class OpenIdClient:
    """Signs in by one provider. `callback` is the URL of `CALLBACK_PATH`, registered at the provider."""

    def __init__(self, provider: OpenIdProvider, callback: str) -> None:
        self._provider, self._callback = provider, callback
        self._app: Any = None
        self._known_until = 0.0

    async def begin(self) -> PendingSignIn:
        """Raises `ProviderUnreachableError`."""
        begun = await (await self._configured()).create_authorization_url(self._callback)
        return PendingSignIn(begun["url"], begun["state"], begun["nonce"], begun["code_verifier"])

    async def finish(self, code: str, pending: PendingSignIn) -> Identity:
        """Exchange the code and check the ID token. Raises `ProviderUnreachableError` or `ProviderAnswerError`."""
        from authlib.common.errors import AuthlibBaseError
        from joserfc.errors import JoseError

        app = await self._configured()
        try:
            token = await app.fetch_access_token(
                redirect_uri=self._callback, code=code, state=pending.state, code_verifier=pending.verifier
            )
            claims = await app.parse_id_token(token, nonce=pending.nonce)
        except httpx.HTTPError as error:
            raise ProviderUnreachableError(repr(error)) from error
        except (AuthlibBaseError, JoseError, ValueError, TypeError, KeyError) as error:
            raise ProviderAnswerError(repr(error)) from error
        if claims is None:
            raise ProviderAnswerError("the answer holds no ID token; add openid to OIDC_SCOPE")
        return identity_of(claims, self._provider)

    async def _configured(self) -> Any:
        """Return Authlib's client, which keeps what the provider once answered: a new one after an hour or a fault."""
        if self._app is not None and monotonic() < self._known_until:
            return self._app
        app = _register(self._provider)
        try:
            metadata = await app.load_server_metadata()
        except (httpx.HTTPError, ValueError, TypeError) as error:
            raise ProviderUnreachableError(repr(error)) from error
        if metadata.get("issuer") != self._provider.issuer:  # OpenID Connect Discovery 1.0, section 4.3
            raise ProviderUnreachableError(
                f"OIDC_ISSUER is {self._provider.issuer!r}, its configuration says {metadata.get('issuer')!r}"
            )
        if missing := [name for name in _REQUIRED if not metadata.get(name)]:
            raise ProviderUnreachableError(f"the configuration of OIDC_ISSUER lacks {', '.join(missing)}")
        self._app, self._known_until = app, monotonic() + CONFIGURATION_SECONDS
        return app


def _register(provider: OpenIdProvider) -> Any:
    with warnings.catch_warnings():  # Authlib would rather have httpx2; the HTTP client of the project is httpx
        from authlib.deprecate import AuthlibDeprecationWarning

        warnings.simplefilter("ignore", AuthlibDeprecationWarning)
        from authlib.integrations.starlette_client import OAuth
    return OAuth().register(
        "desk",
        client_id=provider.client_id,
        client_secret=provider.client_secret.get_secret_value(),
        server_metadata_url=f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration",
        client_kwargs={"scope": provider.scope, "code_challenge_method": "S256", "timeout": TIMEOUT_SECONDS},
    )


def identity_of(claims: Mapping[str, Any], provider: OpenIdProvider) -> Identity:
    """Return the person of a checked ID token. Raises `ProviderAnswerError` for a subject that is none."""
    subject = str(claims["sub"])
    if len(subject) > MAX_SUBJECT_LENGTH or not subject.isprintable():
        raise ProviderAnswerError(f"sub: {len(subject)} characters, at most {MAX_SUBJECT_LENGTH} printable ones")
    name = claims.get(provider.name_claim) or claims.get("email") or subject
    return Identity(str(claims["iss"]), subject, account_name(str(name)), role_of(claims, provider))


def role_of(claims: Mapping[str, Any], provider: OpenIdProvider) -> StaffRole | None:
    """Return the highest role that the claim gives. The claim is a text or a list; dots lead into nested claims
    (`realm_access.roles`), except where a claim has the whole name (`https://shop.example/roles`).
    """
    values = set(_claim_values(claims, provider.role_claim))
    return next((role for role in reversed(StaffRole) if values & provider.roles.get(role, frozenset())), None)


def _claim_values(claims: Mapping[str, Any], path: str) -> Iterator[str]:
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
    if isinstance(found, str):
        yield found
    elif isinstance(found, list):
        yield from (value for value in found if isinstance(value, str))


def account_name(name: str) -> str:
    """Return the name as an account may have it: what stands before an @, in small letters, digits, dots and dashes."""
    plain = re.sub(r"[^a-z0-9._-]+", "-", name.lower().partition("@")[0]).strip("._-")
    return plain[:_MAX_NAME_LENGTH] or "staff"


def account_names(name: str) -> Iterator[str]:
    """Yield the names to try for a new account: this one, then with a number."""
    return chain([name], (f"{name}-{number}" for number in range(2, 1000)))
