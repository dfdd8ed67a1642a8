"""A staff login for the desk of a run."""

import os
import secrets
import subprocess
import sys

from deploy.demo.system import DemoSystem


def create_staff_login(system: DemoSystem, name: str) -> str:
    """Create an admin of this name with a random password; returns the password."""
    password = secrets.token_urlsafe(12)
    command = [sys.executable, "-m", "services.intake.cli.staff", "add", name, "--role", "admin", "--language", "ja"]
    environment = {"DATABASE_URL": system.databases["intake"], "STAFF_PASSWORD": password}
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **environment})
    return password
