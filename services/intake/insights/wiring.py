"""Insights, put together for the app: their aggregate, their loop and their routes."""

from fastapi import APIRouter

from libs.common.runtime.service import Service
from services.intake.insights import api
from services.intake.insights.detection_loop import Learner
from services.intake.insights.policy import read_policy
from services.intake.store.insights.clusters import ClusterStore
from services.intake.store.insights.monthly_rollups import RollupJob


def insights(service: Service) -> APIRouter:
    """Raises `InsightsError` where `insights.toml` is wrong."""
    clusters = ClusterStore(read_policy())
    service.consume(clusters)
    service.run_in_background("learner", Learner(service, clusters).run)
    service.run_in_background("keeper", RollupJob(service).run)
    return api.routes(service, clusters)
