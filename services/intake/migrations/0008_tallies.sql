-- Figures of months that are over, added up once: see services/intake/store/insights/monthly_rollups.py for what a kind holds.
CREATE TABLE tallies (
    month date   NOT NULL,
    kind  text   NOT NULL,
    a     text   NOT NULL,
    b     text   NOT NULL,
    c     text   NOT NULL,
    x     bigint NOT NULL,
    y     bigint NOT NULL,
    z     bigint NOT NULL
);
CREATE INDEX tallies_month ON tallies (month);

-- Which months `tallies` holds, also where nothing happened; days begin in `zone`.
CREATE TABLE tallied (
    month date PRIMARY KEY,
    zone  text NOT NULL
);

-- Months of which a batch changed something since they were added up; a batch only appends, so that none waits for another.
CREATE TABLE to_tally (
    n     bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    month date   NOT NULL
);

-- Lines come in nearly by time: the parts of a table that hold some days are found without an entry per line.
CREATE INDEX reported_lines_days ON reported_lines USING brin (arrived_on, reported_at) WITH (pages_per_range = 16);
