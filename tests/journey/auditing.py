"""The auditor over the topics and databases of a journey."""

from zoneinfo import ZoneInfo

from deploy.verification.auditor import audit, read_history
from tests.journey.backbone import Backbone


async def violations(system: Backbone) -> dict[str, list[str]]:
    """Violations by check, of the checks that could judge."""
    lives = {
        "intake": system.intake, "returns": system.returns, "delivery_notify": system.delivery_notify,
        "loyalty": system.loyalty,
    }  # fmt: skip
    databases = {name: str(live.service.settings.database_url) for name, live in lives.items()}
    now = system.intake.service.clock.now()
    history = await read_history(system.kafka, system.prefix, databases, ZoneInfo("Asia/Tokyo"), now)
    return {
        verdict.name: [each.description for each in verdict.violations]
        for verdict in audit(history)
        if verdict.violations
    }
