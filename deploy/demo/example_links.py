"""Example access to the pages of a run: a staff login for the desk, and the status page of one customer."""

import os
import secrets
import subprocess
import sys
from datetime import datetime, timedelta

import asyncpg

from deploy.demo.system import DemoSystem
from libs.common.http.signed_links import Purpose, SignedLinks


def create_staff_login(system: DemoSystem, name: str) -> str:
    """Create an admin of this name with a random password; returns the password."""
    password = secrets.token_urlsafe(12)
    command = [sys.executable, "-m", "services.intake.cli.staff", "add", name, "--role", "admin", "--language", "ja"]
    environment = {"DATABASE_URL": system.databases["intake"], "STAFF_PASSWORD": password}
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    return password


async def status_page_url(system: DemoSystem, now: datetime) -> str | None:
    """The status page of the newest open issue, else of the newest issue."""
    conn = await asyncpg.connect(system.databases["intake"])
    try:
        newest = "SELECT issue_id FROM issues ORDER BY is_open DESC, reported_at DESC LIMIT 1"
        issue_id = await conn.fetchval(newest)
    finally:
        await conn.close()
    if issue_id is None:
        return None
    token = SignedLinks([system.link_secret]).token(Purpose.STATUS, now + timedelta(days=30), str(issue_id))
    return f"{system.service_url('intake')}/s/{token}"
