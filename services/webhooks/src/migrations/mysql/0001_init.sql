-- Where a workspace's events are sent.
CREATE TABLE webhooks (
    id BINARY(16) NOT NULL PRIMARY KEY,
    workspace_id BINARY(16) NOT NULL,
    -- Only events of this project.
    project_id BINARY(16) NULL,
    url VARCHAR(2048) NOT NULL,
    description VARCHAR(500) NULL,
    -- JSON: patterns such as task.*
    event_types LONGTEXT NOT NULL,
    enabled BOOLEAN NOT NULL,
    disabled_reason VARCHAR(32) NULL,
    disabled_at BIGINT NULL,
    -- Sealed under a key from the installation secret; both sign until the old one expires.
    secret VARCHAR(200) NOT NULL,
    old_secret VARCHAR(200) NULL,
    old_secret_expires_at BIGINT NULL,
    -- First failure after the last success.
    failing_since BIGINT NULL,
    last_success_at BIGINT NULL,
    -- The receiver asked for quiet until then.
    paused_until BIGINT NULL,
    version BIGINT NOT NULL,
    created_by BINARY(16) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX webhooks_workspace ON webhooks (workspace_id, id);

CREATE INDEX webhooks_project ON webhooks (project_id);

-- What is sent, once per event, byte by byte as it is signed.
CREATE TABLE webhook_messages (
    id BINARY(16) NOT NULL PRIMARY KEY,
    workspace_id BINARY(16) NOT NULL,
    event_type VARCHAR(64) NOT NULL,
    body LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX webhook_messages_workspace ON webhook_messages (workspace_id);

CREATE INDEX webhook_messages_age ON webhook_messages (created_at);

-- One message on its way to one webhook.
CREATE TABLE webhook_deliveries (
    id BINARY(16) NOT NULL PRIMARY KEY,
    webhook_id BINARY(16) NOT NULL,
    message_id BINARY(16) NOT NULL,
    event_type VARCHAR(64) NOT NULL,
    -- pending, delivered, failed
    state VARCHAR(16) NOT NULL,
    -- Since it was made or replayed: the place in the retry schedule.
    tries INTEGER NOT NULL,
    -- Since it was made.
    attempts INTEGER NOT NULL,
    next_attempt_at BIGINT NULL,
    last_attempt_at BIGINT NULL,
    last_status INTEGER NULL,
    last_error VARCHAR(32) NULL,
    delivered_at BIGINT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT webhook_deliveries_once UNIQUE (webhook_id, message_id),
    CONSTRAINT webhook_deliveries_webhook_fk FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE,
    CONSTRAINT webhook_deliveries_message_fk FOREIGN KEY (message_id) REFERENCES webhook_messages (id) ON DELETE CASCADE
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX webhook_deliveries_message ON webhook_deliveries (message_id);

CREATE INDEX webhook_deliveries_due ON webhook_deliveries (webhook_id, state, next_attempt_at);

CREATE INDEX webhook_deliveries_late ON webhook_deliveries (state, next_attempt_at);

CREATE INDEX webhook_deliveries_list ON webhook_deliveries (webhook_id, created_at, id);

CREATE INDEX webhook_deliveries_state ON webhook_deliveries (webhook_id, state, created_at, id);

-- Each time it was sent.
CREATE TABLE webhook_attempts (
    delivery_id BINARY(16) NOT NULL,
    number INTEGER NOT NULL,
    started_at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    status INTEGER NULL,
    error VARCHAR(32) NULL,
    -- Start of the answer, when it is text.
    response LONGTEXT NULL,
    response_truncated BOOLEAN NOT NULL,
    PRIMARY KEY (delivery_id, number),
    CONSTRAINT webhook_attempts_delivery_fk FOREIGN KEY (delivery_id) REFERENCES webhook_deliveries (id) ON DELETE CASCADE
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
