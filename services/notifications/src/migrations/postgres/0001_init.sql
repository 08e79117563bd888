-- A person's inbox. One row per event and person; rows of the same change of a task share `change_key`.
CREATE TABLE notifications (
    id uuid NOT NULL PRIMARY KEY,
    user_id uuid NOT NULL,
    event_id uuid NOT NULL,
    kind varchar(64) NOT NULL,
    workspace_id uuid NULL,
    project_id uuid NULL,
    task_id uuid NULL,
    -- The row is shown only while its reader has access to the workspace (and project) it speaks of.
    needs_access boolean NOT NULL,
    -- False for rows that only record a mail, and for dismissed ones: nobody is told twice of the same change.
    in_app boolean NOT NULL,
    change_key varchar(80) NULL,
    actor_id uuid NULL,
    content text NOT NULL,
    created_at bigint NOT NULL,
    read_at bigint NULL
);

CREATE UNIQUE INDEX notifications_event_user ON notifications (event_id, user_id);

CREATE INDEX notifications_inbox ON notifications (user_id, in_app, created_at, id);

CREATE INDEX notifications_unread ON notifications (user_id, in_app, read_at);

CREATE INDEX notifications_scope ON notifications (user_id, in_app, needs_access, workspace_id, project_id);

CREATE INDEX notifications_change ON notifications (change_key);

CREATE INDEX notifications_workspace ON notifications (workspace_id);

CREATE INDEX notifications_retention ON notifications (read_at);

CREATE INDEX notifications_age ON notifications (created_at);

-- Only what a person chose; everything else is the kind's default.
CREATE TABLE notification_preferences (
    user_id uuid NOT NULL,
    kind varchar(64) NOT NULL,
    in_app boolean NOT NULL,
    email boolean NOT NULL,
    updated_at bigint NOT NULL,
    PRIMARY KEY (user_id, kind)
);

CREATE INDEX notification_preferences_kind ON notification_preferences (kind);

-- Who took part in a task's discussion, projected from comment events.
CREATE TABLE task_participants (
    task_id uuid NOT NULL,
    user_id uuid NOT NULL,
    workspace_id uuid NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (task_id, user_id)
);

CREATE INDEX task_participants_user ON task_participants (user_id);

CREATE INDEX task_participants_workspace ON task_participants (workspace_id);

-- Last number given out in a workspace's event log. Its row lock makes the order of numbers the order of commits.
CREATE TABLE event_counters (
    workspace_id uuid NOT NULL PRIMARY KEY,
    last_seq bigint NOT NULL
);

-- What the live event streams of a workspace replay.
CREATE TABLE event_log (
    workspace_id uuid NOT NULL,
    seq bigint NOT NULL,
    event_id uuid NOT NULL,
    event_type varchar(64) NOT NULL,
    -- Only for those who can read this project.
    project_id uuid NULL,
    -- Only for this person.
    user_id uuid NULL,
    -- Only for those who may do this (kernel::roles::Permission).
    permission varchar(64) NULL,
    envelope text NOT NULL,
    created_at bigint NOT NULL,
    PRIMARY KEY (workspace_id, seq)
);

CREATE UNIQUE INDEX event_log_event ON event_log (event_id);

CREATE INDEX event_log_age ON event_log (created_at);

CREATE INDEX event_log_user ON event_log (user_id);
