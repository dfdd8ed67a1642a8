"""FastAPI dependencies of the routes: objects that `create_app` put into `app.state`."""

from typing import Annotated

from fastapi import Depends, Request

from libs.common.http.signed_links import SignedLinks
from services.intake.evidence.uploads import EvidenceUploads
from services.intake.http.commands import IntakeCommands


def _commands(request: Request) -> IntakeCommands:
    commands: IntakeCommands = request.app.state.commands
    return commands


def _evidence(request: Request) -> EvidenceUploads:
    evidence: EvidenceUploads = request.app.state.evidence
    return evidence


def _links(request: Request) -> SignedLinks:
    links: SignedLinks = request.app.state.links
    return links


CurrentCommands = Annotated[IntakeCommands, Depends(_commands)]
CurrentEvidence = Annotated[EvidenceUploads, Depends(_evidence)]
CurrentLinks = Annotated[SignedLinks, Depends(_links)]
