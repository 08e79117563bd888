-- Marks a workspace whose default states exist; its primary key makes seeding happen once.
CREATE TABLE task_workspaces (
    workspace_id BLOB NOT NULL,
    seeded_at BIGINT NOT NULL,
    CONSTRAINT task_workspaces_pk PRIMARY KEY (workspace_id)
);

-- Hands out task numbers; also remembers the project's key for calls without a person behind them.
CREATE TABLE task_projects (
    project_id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    project_key TEXT NOT NULL,
    last_number BIGINT NOT NULL,
    CONSTRAINT task_projects_pk PRIMARY KEY (project_id)
);
CREATE INDEX task_projects_workspace ON task_projects (workspace_id);

-- is_default is TRUE or NULL, so that the unique constraint allows one default per workspace on every engine.
CREATE TABLE task_states (
    id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    status TEXT NOT NULL,
    position INTEGER NOT NULL,
    is_default BOOLEAN NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT task_states_pk PRIMARY KEY (id),
    CONSTRAINT task_states_name_unique UNIQUE (workspace_id, name_folded),
    CONSTRAINT task_states_default_unique UNIQUE (workspace_id, is_default)
);

CREATE TABLE labels (
    id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    name TEXT NOT NULL,
    name_folded TEXT NOT NULL,
    color TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT labels_pk PRIMARY KEY (id),
    CONSTRAINT labels_name_unique UNIQUE (workspace_id, name_folded)
);

-- due_sort is due_at, or the greatest BIGINT without a due date: engines disagree on where NULL sorts.
-- soon_sent_for and overdue_sent_for hold the due moment a reminder was announced for.
CREATE TABLE tasks (
    id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    project_id BLOB NOT NULL,
    number BIGINT NOT NULL,
    title TEXT NOT NULL,
    title_sort TEXT NOT NULL,
    description TEXT NOT NULL,
    state_id BLOB NOT NULL,
    status TEXT NOT NULL,
    priority INTEGER NOT NULL,
    due_date TEXT NULL,
    due_at BIGINT NULL,
    due_sort BIGINT NOT NULL,
    parent_id BLOB NULL,
    position TEXT NOT NULL,
    creator_id BLOB NULL,
    comment_count INTEGER NOT NULL,
    subtask_count INTEGER NOT NULL,
    subtask_done_count INTEGER NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    completed_at BIGINT NULL,
    archived_at BIGINT NULL,
    deleted_at BIGINT NULL,
    deleted_with BLOB NULL,
    soon_sent_for BIGINT NULL,
    overdue_sent_for BIGINT NULL,
    CONSTRAINT tasks_pk PRIMARY KEY (id),
    CONSTRAINT tasks_number_unique UNIQUE (project_id, number),
    CONSTRAINT tasks_state_fk FOREIGN KEY (state_id) REFERENCES task_states (id)
);
CREATE INDEX tasks_project_created ON tasks (project_id, created_at, id);
CREATE INDEX tasks_project_updated ON tasks (project_id, updated_at, id);
CREATE INDEX tasks_project_due ON tasks (project_id, due_sort, id);
CREATE INDEX tasks_project_position ON tasks (project_id, position, id);
CREATE INDEX tasks_workspace_created ON tasks (workspace_id, created_at, id);
CREATE INDEX tasks_workspace_updated ON tasks (workspace_id, updated_at, id);
CREATE INDEX tasks_workspace_due ON tasks (workspace_id, due_sort, id);
CREATE INDEX tasks_parent ON tasks (parent_id);
CREATE INDEX tasks_state ON tasks (state_id);
CREATE INDEX tasks_deleted_with ON tasks (deleted_with);

CREATE TABLE task_assignees (
    task_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    assigned_at BIGINT NOT NULL,
    CONSTRAINT task_assignees_pk PRIMARY KEY (task_id, user_id),
    CONSTRAINT task_assignees_task_fk FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
CREATE INDEX task_assignees_user ON task_assignees (user_id, workspace_id, task_id);

CREATE TABLE task_labels (
    task_id BLOB NOT NULL,
    label_id BLOB NOT NULL,
    CONSTRAINT task_labels_pk PRIMARY KEY (task_id, label_id),
    CONSTRAINT task_labels_task_fk FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT task_labels_label_fk FOREIGN KEY (label_id) REFERENCES labels (id) ON DELETE CASCADE
);
CREATE INDEX task_labels_label ON task_labels (label_id, task_id);

CREATE TABLE comments (
    id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    task_id BLOB NOT NULL,
    author_id BLOB NULL,
    body TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    edited_at BIGINT NULL,
    CONSTRAINT comments_pk PRIMARY KEY (id),
    CONSTRAINT comments_task_fk FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
CREATE INDEX comments_task_created ON comments (task_id, created_at, id);

CREATE TABLE task_activity (
    id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    task_id BLOB NOT NULL,
    actor_id BLOB NULL,
    kind TEXT NOT NULL,
    field TEXT NULL,
    old_value TEXT NULL,
    new_value TEXT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT task_activity_pk PRIMARY KEY (id),
    CONSTRAINT task_activity_task_fk FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
CREATE INDEX task_activity_task_created ON task_activity (task_id, created_at, id);

-- The inverted index of the full-text search: folded terms of title and description.
CREATE TABLE task_terms (
    workspace_id BLOB NOT NULL,
    term TEXT NOT NULL,
    task_id BLOB NOT NULL,
    CONSTRAINT task_terms_pk PRIMARY KEY (workspace_id, term, task_id),
    CONSTRAINT task_terms_task_fk FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE
);
CREATE INDEX task_terms_task ON task_terms (task_id);
