"""The smoke schedule of CI: one fault of each kind, failpoints at chosen steps, in about half a minute."""

from tests.faults.schedule import EVIDENCE, KAFKA, MAIL, POSTGRES, WEBHOOKS, FaultKind, InjectedFault

SECONDS, DAYS_SECONDS = 24.0, 8.0

SMOKE_SCHEDULE = (
    InjectedFault(1, "returns", "returns", FaultKind.STEP, 0.5, "before_commit:2"),
    InjectedFault(2, "returns", "returns", FaultKind.STEP, 0.5, "relay_sent"),
    InjectedFault(1, "intake", "intake", FaultKind.STEP, 0.5, "command_after_commit"),
    InjectedFault(2, "intake", "intake", FaultKind.SCALE, 4, "2"),
    InjectedFault(1, "delivery_notify", "delivery_notify", FaultKind.STEP, 0.5, "after_commit:2"),
    InjectedFault(2, "delivery_notify", "delivery_notify", FaultKind.TERM, 0.5),
    InjectedFault(4, "loyalty", "loyalty", FaultKind.FREEZE, 7),
    InjectedFault(12, "loyalty", "loyalty", FaultKind.KILL, 0.5),
    InjectedFault(9, "returns", "returns", FaultKind.MEMORY, 3, "0"),
    InjectedFault(10, "delivery_notify", "delivery_notify", FaultKind.MIGRATE, 0),
    InjectedFault(6, "intake links", "intake", FaultKind.HALF_OPEN, 3, POSTGRES),
    InjectedFault(5, "returns links", "returns", FaultKind.CUT, 2, KAFKA),
    InjectedFault(9, "delivery_notify links", "delivery_notify", FaultKind.SLOW, 3, POSTGRES),
    InjectedFault(10, "loyalty links", "loyalty", FaultKind.SKEW, 4, "25"),
    InjectedFault(6, "mail", MAIL, FaultKind.BUSY, 3),
    InjectedFault(12, "mail", MAIL, FaultKind.CRASH, 1),
    InjectedFault(7, "partners", "partners", FaultKind.STEP, 0.5, "webhook_sent"),
    InjectedFault(3, "webhooks", WEBHOOKS, FaultKind.BUSY, 3),
    InjectedFault(14, "webhooks", WEBHOOKS, FaultKind.LATE, 4, "4"),
    InjectedFault(4, "evidence", EVIDENCE, FaultKind.BUSY, 3),
    InjectedFault(12, "evidence", EVIDENCE, FaultKind.CRASH, 2),
    InjectedFault(8, "kafka", KAFKA, FaultKind.CRASH, 0.5),
    InjectedFault(4, "postgres", POSTGRES, FaultKind.DISK_FULL, 2),
    InjectedFault(15, "postgres", POSTGRES, FaultKind.CRASH, 0.3),
    InjectedFault(6, "postgres", POSTGRES, FaultKind.SLOW_FSYNC, 3, "100"),
    InjectedFault(14, "kafka", KAFKA, FaultKind.PARTITION, 0, "warehouse.events"),
    InjectedFault(19, "kafka", KAFKA, FaultKind.PAUSE, 2),
)
