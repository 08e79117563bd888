-- Secrets that were replaced, sealed as they were. Each signs until the end that was promised when it was replaced.
CREATE TABLE webhook_old_secrets (
    webhook_id uuid NOT NULL,
    -- Version of the webhook that came with the next secret.
    version bigint NOT NULL,
    secret varchar(200) NOT NULL,
    expires_at bigint NOT NULL,
    PRIMARY KEY (webhook_id, version),
    CONSTRAINT webhook_old_secrets_webhook_fk FOREIGN KEY (webhook_id) REFERENCES webhooks (id) ON DELETE CASCADE
);

CREATE INDEX webhook_old_secrets_expiry ON webhook_old_secrets (expires_at);

-- webhooks.old_secret stays for the version before this one, which may still run; nothing else reads it.
-- webhooks.old_secret_expires_at is from here on the end of the last of these.
INSERT INTO webhook_old_secrets (webhook_id, version, secret, expires_at)
SELECT id, version, old_secret, old_secret_expires_at
FROM webhooks
WHERE old_secret IS NOT NULL AND old_secret_expires_at IS NOT NULL;
