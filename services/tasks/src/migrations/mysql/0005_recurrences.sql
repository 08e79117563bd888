-- Series of tasks that come again. Dates are YYYY-MM-DD and times of day HH:MM:SS in time_zone; task_id is the present task,
-- which stands for the occurrence of current_date_on.
CREATE TABLE task_recurrences (
    id BINARY(16) NOT NULL,
    workspace_id BINARY(16) NOT NULL,
    project_id BINARY(16) NOT NULL,
    task_id BINARY(16) NOT NULL,
    rule VARCHAR(500) NOT NULL,
    trigger_kind VARCHAR(16) NOT NULL,
    time_zone VARCHAR(64) NOT NULL,
    first_date VARCHAR(10) NOT NULL,
    time_of_day VARCHAR(32) NULL,
    current_date_on VARCHAR(10) NOT NULL,
    creator_id BINARY(16) NULL,
    ended_at BIGINT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT task_recurrences_pk PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX task_recurrences_task ON task_recurrences (task_id);
CREATE INDEX task_recurrences_workspace ON task_recurrences (workspace_id, project_id);
ALTER TABLE tasks ADD COLUMN recurrence_id BINARY(16) NULL;
