-- The parts of one message are found by it: sent again after a crash, it must have the same parts.
CREATE INDEX notices_together ON notices (together) WHERE together IS NOT NULL;
