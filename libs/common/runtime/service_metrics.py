"""All metrics of one service: those of the runtime, which every service has, and those that a service adds."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from libs.common.config.settings import ServiceSettings
from libs.common.decisions.clock import Clock
from libs.common.events.envelope import Payload
from libs.common.http.request_metrics import REQUEST_DURATION
from libs.common.messaging.decision_metrics import DecisionMetrics
from libs.common.messaging.relay_metrics import RelayMetrics
from libs.common.postgres.pool import Pool
from libs.common.runtime.background_loops import BackgroundLoops
from libs.common.runtime.consumer_metrics import ConsumerMetrics
from libs.common.runtime.database_metrics import CONNECTION_WAIT, DatabaseMetrics, Query
from libs.common.runtime.kafka_reader import KafkaReader
from libs.common.runtime.process_metrics import add_process_metrics, measure_loop_delay
from libs.common.telemetry.counters import Counters
from libs.common.telemetry.metrics import Count, Metric, Metrics

P = TypeVar("P", bound=Payload)


class ServiceMetrics:
    """Metrics of one service, used by its composition root."""

    def __init__(self, service: str, settings: ServiceSettings, clock: Clock) -> None:
        self._all = Metrics(service, settings.otel_exporter_otlp_endpoint)
        self._pool: Pool | None = None
        self.counters = Counters(self._all)
        self.decisions = DecisionMetrics(self._all)
        self.requests = self._all.histogram(REQUEST_DURATION)
        self._database = DatabaseMetrics(clock.now)
        self._database.add_to(self._all, lambda: self._pool, settings.pool_size)
        self.connection_wait = self._all.histogram(CONNECTION_WAIT)
        self.relay = RelayMetrics(settings.kafka_topic_prefix)
        self.relay.add_to(self._all)
        self._loop_delay = add_process_metrics(self._all)

    @property
    def catalogue(self) -> Sequence[Metric]:
        """All metrics that this service exports."""
        return self._all.metrics

    def observe_consumer(self, kafka: KafkaReader) -> None:
        ConsumerMetrics(kafka).add_to(self._all)

    def counter(self, metric: Metric) -> Count:
        """Export a counter."""
        return self._all.counter(metric)

    def on(self, payload_type: type[P], observer: Callable[[P], None]) -> None:
        """Call `observer` with each payload of this type that a committed transaction published."""
        self.decisions.observe(payload_type, observer)

    def gauge(self, metric: Metric, query: Query) -> None:
        """Export a gauge that is read from the service's database every 15 s."""
        self._database.add_query(self._all, metric, query)

    def add_loops(self, loops: BackgroundLoops, pool: Pool) -> None:
        self._pool = pool
        loops.add("database metrics", lambda: self._database.run(pool))
        loops.add("event loop delay", lambda: measure_loop_delay(self._loop_delay))

    def exposition(self) -> bytes:
        """Return all values in Prometheus' text format."""
        return self._all.exposition()

    def shutdown(self) -> None:
        self._pool = None
        self._all.shutdown()
