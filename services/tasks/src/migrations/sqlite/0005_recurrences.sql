-- Series of tasks that come again. Dates are YYYY-MM-DD and times of day HH:MM:SS in time_zone; task_id is the present task,
-- which stands for the occurrence of current_date_on.
CREATE TABLE task_recurrences (
    id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    project_id BLOB NOT NULL,
    task_id BLOB NOT NULL,
    rule TEXT NOT NULL,
    trigger_kind TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    first_date TEXT NOT NULL,
    time_of_day TEXT NULL,
    current_date_on TEXT NOT NULL,
    creator_id BLOB NULL,
    ended_at BIGINT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT task_recurrences_pk PRIMARY KEY (id)
);
CREATE INDEX task_recurrences_task ON task_recurrences (task_id);
CREATE INDEX task_recurrences_workspace ON task_recurrences (workspace_id, project_id);
ALTER TABLE tasks ADD COLUMN recurrence_id BLOB NULL;
