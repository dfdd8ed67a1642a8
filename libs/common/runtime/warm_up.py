"""Work of the first event, done before the service starts: a customer's report would otherwise wait for it.

The decoder of all event types is built at its first use, holidays are computed at the first question, and the frame of
a published event at its first encoding: 0.3 to 1 s of CPU together. Statements are prepared by each connection at
their first use and are left to it: they take about a millisecond each.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress

from libs.common.events.envelope import Payload
from libs.common.events.registry import UndecodableError, decode, event_class

Preparation = Callable[[], object]


def warm_up(publishes: Iterable[type[Payload]], preparations: Iterable[Preparation] = ()) -> None:
    """Build decoders and envelopes, and run the service's own preparations."""
    with suppress(UndecodableError):
        decode(b"{}")
    for payload in publishes:
        event_class(payload)
    for prepare in preparations:
        prepare()
