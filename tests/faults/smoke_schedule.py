"""The short form that CI runs: one fault of each kind, deaths at aimed steps, in about half a minute."""

from tests.faults.schedule import KAFKA, POSTGRES, Fault, Kind

SECONDS, DAYS_SECONDS = 24.0, 8.0

SHORT = (
    Fault(1, "returns", "returns", Kind.STEP, 0.5, "before_commit:2"),
    Fault(2, "returns", "returns", Kind.STEP, 0.5, "relay_sent"),
    Fault(1, "intake", "intake", Kind.STEP, 0.5, "command_after_commit"),
    Fault(2, "intake", "intake", Kind.SCALE, 4, "2"),
    Fault(1, "delivery_notify", "delivery_notify", Kind.STEP, 0.5, "after_commit:2"),
    Fault(2, "delivery_notify", "delivery_notify", Kind.TERM, 0.5),
    Fault(4, "loyalty", "loyalty", Kind.FREEZE, 7),
    Fault(12, "loyalty", "loyalty", Kind.KILL, 0.5),
    Fault(6, "intake links", "intake", Kind.HALF_OPEN, 3, POSTGRES),
    Fault(5, "returns links", "returns", Kind.CUT, 2, KAFKA),
    Fault(9, "delivery_notify links", "delivery_notify", Kind.SLOW, 3, POSTGRES),
    Fault(10, "loyalty links", "loyalty", Kind.SKEW, 4, "25"),
    Fault(8, "kafka", KAFKA, Kind.CRASH, 0.5),
    Fault(4, "postgres", POSTGRES, Kind.DISK_FULL, 2),
    Fault(15, "postgres", POSTGRES, Kind.CRASH, 0.3),
    Fault(19, "kafka", KAFKA, Kind.PAUSE, 2),
)
