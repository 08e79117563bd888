-- How a person gets the mails; who has no row gets each at once.
CREATE TABLE notification_settings (
    user_id uuid NOT NULL PRIMARY KEY,
    -- immediate or daily.
    email_mode varchar(64) NOT NULL,
    -- 0 to 23, in the person's own time zone.
    digest_hour integer NOT NULL,
    -- When the digest is due that is scheduled; NULL while nothing waits.
    next_digest_at BIGINT NULL,
    -- When the latest digest was due. One per local day.
    last_digest_at BIGINT NULL,
    updated_at BIGINT NOT NULL
);

-- What people chose to hear of one project or one task; who has no row hears what concerns them.
CREATE TABLE notification_subscriptions (
    user_id uuid NOT NULL,
    -- Id of the project or of the task.
    subject_id uuid NOT NULL,
    -- project or task.
    subject varchar(64) NOT NULL,
    workspace_id uuid NOT NULL,
    -- The project itself, or that of the task.
    project_id uuid NOT NULL,
    -- subscribed or muted.
    level varchar(64) NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (user_id, subject_id)
);

CREATE INDEX notification_subscriptions_subject ON notification_subscriptions (subject_id);

CREATE INDEX notification_subscriptions_list ON notification_subscriptions (user_id, created_at, subject_id);

CREATE INDEX notification_subscriptions_project ON notification_subscriptions (project_id);

CREATE INDEX notification_subscriptions_workspace ON notification_subscriptions (workspace_id);

-- True while the row's mail waits for the daily digest.
ALTER TABLE notifications ADD COLUMN awaits_digest BOOLEAN NULL;

CREATE INDEX notifications_digest ON notifications (user_id, awaits_digest, created_at);
