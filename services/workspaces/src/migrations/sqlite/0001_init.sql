-- Tenants. owner_count and member_count are kept with every change of members in the same transaction:
-- "the last owner stays" and the member limit are then one guarded UPDATE, safe on every engine.
CREATE TABLE workspaces (
    id BLOB NOT NULL,
    slug TEXT NOT NULL,
    name TEXT NOT NULL,
    description TEXT NULL,
    time_zone TEXT NOT NULL,
    strict_concurrency BOOLEAN NOT NULL,
    default_role TEXT NOT NULL,
    owner_count BIGINT NOT NULL,
    member_count BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_by BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    deleted_at BIGINT NULL,
    CONSTRAINT workspaces_pk PRIMARY KEY (id),
    CONSTRAINT workspaces_slug_unique UNIQUE (slug)
);
-- The purge sweep.
CREATE INDEX workspaces_deleted_at ON workspaces (deleted_at);

CREATE TABLE members (
    workspace_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    role TEXT NOT NULL,
    sales_role TEXT NULL,
    version BIGINT NOT NULL,
    invited_by BLOB NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT members_pk PRIMARY KEY (workspace_id, user_id)
);
-- A person's workspaces.
CREATE INDEX members_user ON members (user_id, workspace_id);
-- The list of members, in the order of joining.
CREATE INDEX members_joined ON members (workspace_id, created_at, user_id);

-- pending_email is the address while the invitation is open and NULL afterwards: one open invitation per address,
-- without a partial index, which MySQL lacks.
CREATE TABLE invitations (
    id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    state TEXT NOT NULL,
    email TEXT NULL,
    pending_email TEXT NULL,
    role TEXT NOT NULL,
    sales_role TEXT NULL,
    single_use BOOLEAN NOT NULL,
    uses BIGINT NOT NULL,
    -- SHA-256 of the token; the token itself is never stored.
    token_hash BLOB NOT NULL,
    invited_by BLOB NOT NULL,
    version BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    sent_at BIGINT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT invitations_pk PRIMARY KEY (id),
    CONSTRAINT invitations_token_unique UNIQUE (token_hash),
    CONSTRAINT invitations_pending_unique UNIQUE (workspace_id, pending_email)
);
CREATE INDEX invitations_workspace ON invitations (workspace_id, state, id);
-- The sweep of old invitations.
CREATE INDEX invitations_expires_at ON invitations (expires_at);

CREATE TABLE projects (
    id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    project_key TEXT NOT NULL,
    name TEXT NOT NULL,
    -- Lower-cased, for search alike on every engine.
    name_folded TEXT NOT NULL,
    description TEXT NULL,
    private BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    created_by BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    archived_at BIGINT NULL,
    deleted_at BIGINT NULL,
    CONSTRAINT projects_pk PRIMARY KEY (id),
    -- Deleted projects keep their key, so that they can come back.
    CONSTRAINT projects_key_unique UNIQUE (workspace_id, project_key)
);
CREATE INDEX projects_workspace ON projects (workspace_id, id);
CREATE INDEX projects_deleted_at ON projects (deleted_at);

CREATE TABLE project_members (
    project_id BLOB NOT NULL,
    user_id BLOB NOT NULL,
    workspace_id BLOB NOT NULL,
    role TEXT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    CONSTRAINT project_members_pk PRIMARY KEY (project_id, user_id)
);
-- A member leaves the workspace: their project roles go too.
CREATE INDEX project_members_user ON project_members (workspace_id, user_id);
