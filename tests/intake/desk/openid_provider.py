"""An OpenID provider on loopback: discovery, authorization, token and keys as the specification says, users by test.

It checks what a provider checks (client, redirect URI, code, PKCE verifier), and sends the ID tokens that a test asks
for, right and wrong ones.
"""

import asyncio
import base64
import hashlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs, urlencode

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from joserfc import jwt
from joserfc.jwk import RSAKey

LOOPBACK = "127.0.0.1"
CLIENT_ID, CLIENT_SECRET = "sakidashi-desk", "a-secret-of-the-desk-at-its-provider"

Claims = dict[str, Any]


@cache
def _first_key() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "1"})


@dataclass
class Provider:
    """`claims` are those of the next person to sign in; `spoil` changes an ID token before it is signed, `configure`
    the configuration before it is sent."""

    issuer: str
    claims: Claims = field(default_factory=dict)
    spoil: Callable[[Claims], Claims] = lambda claims: claims
    key: RSAKey = field(default_factory=_first_key)
    published: RSAKey | None = None
    configure: Callable[[Claims], Any] = lambda configuration: configuration
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def discovery(self) -> Response:
        return JSONResponse(self.configure(self.configuration()))

    def configuration(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    def authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        assert asked["client_id"] == CLIENT_ID
        assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
        code = token_urlsafe()
        self._codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}", 302)

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        expected = base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        if request.headers.get("authorization") != f"Basic {expected}":
            return JSONResponse({"error": "invalid_client"}, 401)
        asked = self._codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            asked is None
            or form.get("redirect_uri") != asked["redirect_uri"]
            or base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        token = jwt.encode({"alg": "RS256", "kid": self.key.kid}, self.spoil({**claims, **self.claims}), self.key)
        return JSONResponse({"access_token": token_urlsafe(), "token_type": "Bearer", "id_token": token})

    def keys(self) -> Response:
        return JSONResponse({"keys": [(self.published or self.key).as_dict(private=False)]})


@asynccontextmanager
async def provider() -> AsyncIterator[Provider]:
    """Serve a provider on a free port of loopback."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        found = Provider(f"http://{LOOPBACK}:{listener.getsockname()[1]}")
        app = FastAPI()
        app.add_api_route("/.well-known/openid-configuration", found.discovery, response_model=None)
        app.add_api_route("/authorize", found.authorize, response_model=None)
        app.add_api_route("/token", found.token, methods=["POST"], response_model=None)
        app.add_api_route("/keys", found.keys, response_model=None)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off"))
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield found
        finally:
            server.should_exit = True
            await task
