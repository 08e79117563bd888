-- Where a workspace's events are sent.
CREATE TABLE webhooks (
    id uuid NOT NULL PRIMARY KEY,
    workspace_id uuid NOT NULL,
    -- Only events of this project.
    project_id uuid NULL,
    url varchar(2048) NOT NULL,
    description varchar(500) NULL,
    -- JSON: patterns such as task.*
    event_types text NOT NULL,
    enabled boolean NOT NULL,
    disabled_reason varchar(32) NULL,
    disabled_at bigint NULL,
    -- Sealed under a key from the installation secret; both sign until the old one expires.
    secret varchar(200) NOT NULL,
    old_secret varchar(200) NULL,
    old_secret_expires_at bigint NULL,
    -- First failure after the last success.
    failing_since bigint NULL,
    last_success_at bigint NULL,
    -- The receiver asked for quiet until then.
    paused_until bigint NULL,
    version bigint NOT NULL,
    created_by uuid NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);

CREATE INDEX webhooks_workspace ON webhooks (workspace_id, id);

CREATE INDEX webhooks_project ON webhooks (project_id);

-- What is sent, once per event, byte by byte as it is signed.
CREATE TABLE webhook_messages (
    id uuid NOT NULL PRIMARY KEY,
    workspace_id uuid NOT NULL,
    event_type varchar(64) NOT NULL,
    body text NOT NULL,
    created_at bigint NOT NULL
);

CREATE INDEX webhook_messages_workspace ON webhook_messages (workspace_id);

CREATE INDEX webhook_messages_age ON webhook_messages (created_at);

-- One message on its way to one webhook.
CREATE TABLE webhook_deliveries (
    id uuid NOT NULL PRIMARY KEY,
    webhook_id uuid NOT NULL,
    message_id uuid NOT NULL,
    event_type varchar(64) NOT NULL,
    -- pending, delivered, failed
    state varchar(16) NOT NULL,
    -- Since it was made or replayed: the place in the retry schedule.
    tries integer NOT NULL,
    -- Since it was made.
    attempts integer NOT NULL,
    next_attempt_at bigint NULL,
    last_attempt_at bigint NULL,
    last_status integer NULL,
    last_error varchar(32) NULL,
    delivered_at bigint NULL,
    created_at bigint NOT NULL,
    CONSTRAINT webhook_deliveries_once UNIQUE (webhook_id, message_id),
    CONSTRAINT webhook_deliveries_webhook_fk FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_message_fk FOREIGN KEY (message_id) REFERENCES webhook_messages (id) ON DELETE CASCADE
);

CREATE INDEX webhook_deliveries_message ON webhook_deliveries (message_id);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, state, next_attempt_at);

CREATE INDEX webhook_deliveries_late ON webhook_deliveries (state, next_attempt_at);

CREATE INDEX webhook_deliveries_list ON webhook_deliveries (webhook_id, created_at, id);

CREATE INDEX webhook_deliveries_state ON webhook_deliveries (webhook_id, state, created_at, id);

-- Each time it was sent.
CREATE TABLE webhook_attempts (
    delivery_id uuid NOT NULL,
    number integer NOT NULL,
    started_at bigint NOT NULL,
    duration_ms bigint NOT NULL,
    status integer NULL,
    error varchar(32) NULL,
    -- Start of the answer, when it is text.
    response text NULL,
    response_truncated boolean NOT NULL,
    PRIMARY KEY (delivery_id, number),
    CONSTRAINT webhook_attempts_delivery_fk FOREIGN KEY (delivery_id) REFERENCES webhook_deliveries (id) ON DELETE CASCADE
);
