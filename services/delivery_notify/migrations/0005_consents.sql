-- Evidence of consent to advertising, and of its withdrawal, as the law of Japan requires. The newest by `stated_at` counts.
CREATE TABLE consents (
    customer_id text        NOT NULL,
    purpose     text        NOT NULL,
    channel     text        NOT NULL,
    stated_at   timestamptz NOT NULL,
    granted     boolean     NOT NULL,
    source      text        NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, purpose, channel, stated_at, granted)
);
CREATE TRIGGER consents_append_only BEFORE UPDATE OR DELETE ON consents
    FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
COMMENT ON TABLE consents IS 'append-only: evidence of consents and withdrawals';
