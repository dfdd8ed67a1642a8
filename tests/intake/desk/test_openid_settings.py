"""Settings of the sign-in by OpenID Connect that do not go together are refused at the start."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from services.intake.settings import IntakeSettings
from tests.intake.desk.test_openid import DESK, openid_settings


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"oidc_roles": "boss=leads"}, "'boss=leads' gives no role"),
        ({"oidc_client_id": ""}, "oidc_client_id\n.*missing; OIDC_ISSUER needs it"),
        ({"oidc_roles": ""}, "oidc_roles\n.*missing; OIDC_ISSUER needs it"),
        ({"oidc_issuer": None, "desk_openid_only": True}, "nobody could sign in"),
        ({"oidc_scope": "profile"}, "oidc_scope"),
    ],
)
def test_settings_that_would_let_nobody_in_are_refused(changes: dict[str, Any], named: str, tmp_path: Path) -> None:
    given = {
        "database_url": "postgresql://nowhere/x", "kafka_bootstrap_servers": "127.0.0.1:1", "evidence_dir": tmp_path,
        "public_url": DESK, "link_secrets": "a-secret-for-signing-links",
    }  # fmt: skip
    with pytest.raises(ValidationError, match=named):
        IntakeSettings.model_validate({**given, **openid_settings("https://id.example"), **changes})
