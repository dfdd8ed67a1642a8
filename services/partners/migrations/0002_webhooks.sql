-- Webhook subscriptions of partners. `types` empty: every type that the partner receives. `quiet_until`: the next attempt
-- after several failures in succession.
CREATE TABLE webhook_subscriptions (
    subscription_id uuid        PRIMARY KEY,
    partner         text        NOT NULL,
    url             text        NOT NULL,
    types           text[]      NOT NULL,
    state           text        NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'paused', 'disabled')),
    reason          text,
    failures        integer     NOT NULL DEFAULT 0,
    failing_since   timestamptz,
    quiet_until     timestamptz,
    created_at      timestamptz NOT NULL DEFAULT now(),
    UNIQUE (partner, url)
);

-- Signing secrets, the two newest of a subscription in use; encrypted if the service has column keys.
CREATE TABLE webhook_secrets (
    secret_id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id uuid        NOT NULL REFERENCES webhook_subscriptions ON DELETE CASCADE,
    secret          bytea       NOT NULL,
    created_at      timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX webhook_secrets_subscription ON webhook_secrets (subscription_id);

-- Events to send to a subscription. Of one key, only the first pending one is sent. `leased_until`: the sender that has it.
CREATE TABLE webhook_deliveries (
    subscription_id uuid        NOT NULL REFERENCES webhook_subscriptions ON DELETE CASCADE,
    position        bigint      NOT NULL REFERENCES feed ON DELETE CASCADE,
    key             text        NOT NULL,
    state           text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts        integer     NOT NULL DEFAULT 0,
    due_at          timestamptz NOT NULL DEFAULT now(),
    leased_until    timestamptz,
    settled_at      timestamptz,
    PRIMARY KEY (subscription_id, position)
);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (subscription_id, position) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_order ON webhook_deliveries (subscription_id, key, position) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (subscription_id, due_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_position ON webhook_deliveries (position);

-- Log of attempts: status, or the error without an answer, and the beginning of the answer.
CREATE TABLE webhook_attempts (
    attempt_id      bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subscription_id uuid        NOT NULL REFERENCES webhook_subscriptions ON DELETE CASCADE,
    position        bigint      NOT NULL,
    event_id        text        NOT NULL,
    type            text        NOT NULL,
    attempt         integer     NOT NULL,
    attempted_at    timestamptz NOT NULL DEFAULT now(),
    seconds         real        NOT NULL,
    status          integer,
    error           text,
    excerpt         text
);
CREATE INDEX webhook_attempts_subscription ON webhook_attempts (subscription_id, attempt_id);
CREATE INDEX webhook_attempts_attempted_at ON webhook_attempts USING brin (attempted_at);
