-- Marks a workspace whose default states exist; its primary key makes seeding happen once.
CREATE TABLE task_workspaces (
    workspace_id BINARY(16) NOT NULL,
    seeded_at BIGINT NOT NULL,
    CONSTRAINT task_workspaces_pk PRIMARY KEY (workspace_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Hands out task numbers; also remembers the project's key for calls without a person behind them.
CREATE TABLE task_projects (
    project_id BINARY(16) NOT NULL,
    workspace_id BINARY(16) NOT NULL,
    project_key VARCHAR(16) NOT NULL,
    last_number BIGINT NOT NULL,
    CONSTRAINT task_projects_pk PRIMARY KEY (project_id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX task_projects_workspace ON task_projects (workspace_id);

-- is_default is TRUE or NULL, so that the unique constraint allows one default per workspace on every engine.
CREATE TABLE task_states (
    id BINARY(16) NOT NULL,
    workspace_id BINARY(16) NOT NULL,
    name VARCHAR(60) NOT NULL,
    name_folded VARCHAR(200) NOT NULL,
    status VARCHAR(16) NOT NULL,
    position INTEGER NOT NULL,
    is_default BOOLEAN NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT task_states_pk PRIMARY KEY (id),
    CONSTRAINT task_states_name_unique UNIQUE (workspace_id, name_folded),
    CONSTRAINT task_states_default_unique UNIQUE (workspace_id, is_default)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE labels (
    id BINARY(16) NOT NULL,
    workspace_id BINARY(16) NOT NULL,
    name VARCHAR(60) NOT NULL,
    name_folded VARCHAR(200) NOT NULL,
    color VARCHAR(7) NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT labels_pk PRIMARY KEY (id),
    CONSTRAINT labels_name_unique UNIQUE (workspace_id, name_folded)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- due_sort is due_at, or the greatest BIGINT without a due date: engines disagree on where NULL sorts.
-- soon_sent_for and overdue_sent_for hold the due moment a reminder was announced for.
CREATE TABLE tasks (
    id BINARY(16) NOT NULL,
    workspace_id BINARY(16) NOT NULL,
    project_id BINARY(16) NOT NULL,
    number BIGINT NOT NULL,
    title VARCHAR(500) NOT NULL,
    title_sort VARCHAR(100) NOT NULL,
    description LONGTEXT NOT NULL,
    state_id BINARY(16) NOT NULL,
    status VARCHAR(16) NOT NULL,
    priority INTEGER NOT NULL,
    due_date VARCHAR(10) NULL,
    due_at BIGINT NULL,
    due_sort BIGINT NOT NULL,
    parent_id BINARY(16) NULL,
    position VARCHAR(512) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    creator_id BINARY(16) NULL,
    comment_count INTEGER NOT NULL,
    subtask_count INTEGER NOT NULL,
    subtask_done_count INTEGER NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    completed_at BIGINT NULL,
    archived_at BIGINT NULL,
    deleted_at BIGINT NULL,
    deleted_with BINARY(16) NULL,
    soon_sent_for BIGINT NULL,
    overdue_sent_for BIGINT NULL,
    CONSTRAINT tasks_pk PRIMARY KEY (id),
    CONSTRAINT tasks_number_unique UNIQUE (project_id, number),
    CONSTRAINT tasks_state_fk FOREIGN KEY (state_id) REFERENCES task_states (id)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
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
    task_id BINARY(16) NOT NULL,
    user_id BINARY(16) NOT NULL,
    workspace_id BINARY(16) NOT NULL,
    assigned_at BIGINT NOT NULL,
    CONSTRAINT task_assignees_pk PRIMARY KEY (task_id, user_id),
    CONSTRAINT task_assignees_task_fk FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX task_assignees_user ON task_assignees (user_id, workspace_id, task_id);

CREATE TABLE task_labels (
    task_id BINARY(16) NOT NULL,
    label_id BINARY(16) NOT NULL,
    CONSTRAINT task_labels_pk PRIMARY KEY (task_id, label_id),
    CONSTRAINT task_labels_task_fk FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE,
    CONSTRAINT task_labels_label_fk FOREIGN KEY (label_id) REFERENCES labels (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX task_labels_label ON task_labels (label_id, task_id);

CREATE TABLE comments (
    id BINARY(16) NOT NULL,
    workspace_id BINARY(16) NOT NULL,
    task_id BINARY(16) NOT NULL,
    author_id BINARY(16) NULL,
    body LONGTEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    edited_at BIGINT NULL,
    CONSTRAINT comments_pk PRIMARY KEY (id),
    CONSTRAINT comments_task_fk FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX comments_task_created ON comments (task_id, created_at, id);

CREATE TABLE task_activity (
    id BINARY(16) NOT NULL,
    workspace_id BINARY(16) NOT NULL,
    task_id BINARY(16) NOT NULL,
    actor_id BINARY(16) NULL,
    kind VARCHAR(40) NOT NULL,
    field VARCHAR(40) NULL,
    old_value LONGTEXT NULL,
    new_value LONGTEXT NULL,
    created_at BIGINT NOT NULL,
    CONSTRAINT task_activity_pk PRIMARY KEY (id),
    CONSTRAINT task_activity_task_fk FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX task_activity_task_created ON task_activity (task_id, created_at, id);

-- The inverted index of the full-text search: folded terms of title and description.
CREATE TABLE task_terms (
    workspace_id BINARY(16) NOT NULL,
    term VARCHAR(64) NOT NULL,
    task_id BINARY(16) NOT NULL,
    CONSTRAINT task_terms_pk PRIMARY KEY (workspace_id, term, task_id),
    CONSTRAINT task_terms_task_fk FOREIGN KEY (task_id) REFERENCES tasks (id) ON DELETE CASCADE
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE INDEX task_terms_task ON task_terms (task_id);
