-- Series of tasks that come again. Dates are YYYY-MM-DD and times of day HH:MM:SS in time_zone; task_id is the present task,
-- which stands for the occurrence of current_date_on.
CREATE TABLE task_recurrences (
    id UUID NOT NULL,
    workspace_id UUID NOT NULL,
    project_id UUID NOT NULL,
    task_id UUID NOT NULL,
    rule VARCHAR(500) COLLATE "C" NOT NULL,
    trigger_kind VARCHAR(16) COLLATE "C" NOT NULL,
    time_zone VARCHAR(64) COLLATE "C" NOT NULL,
    first_date VARCHAR(10) COLLATE "C" NOT NULL,
    time_of_day VARCHAR(32) COLLATE "C" NULL,
    current_date_on VARCHAR(10) COLLATE "C" NOT NULL,
    creator_id UUID NULL,
    ended_at BIGINT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT task_recurrences_pk PRIMARY KEY (id)
);
CREATE INDEX task_recurrences_task ON task_recurrences (task_id);
CREATE INDEX task_recurrences_workspace ON task_recurrences (workspace_id, project_id);
ALTER TABLE tasks ADD COLUMN recurrence_id UUID NULL;
