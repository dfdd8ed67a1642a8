"""Wiring of insights: their aggregate and background loops."""

from libs.common.runtime.service import Service
from services.intake.jobs.detection_loop import DetectionLoop
from services.intake.jobs.rollup_job import RollupJob
from services.intake.policy.detection_policy import load_detection_policy
from services.intake.store.insights.clusters import ClusterStore


def add_insights(service: Service) -> None:
    """Raises `DetectionPolicyError` if `detection_policy.toml` is invalid."""
    clusters = ClusterStore(load_detection_policy())
    service.add_aggregate(clusters)
    service.run_in_background("cluster detection", DetectionLoop(service, clusters).run)
    service.run_in_background("monthly rollups", RollupJob(service).run)
