-- Feature flags of the installation.
CREATE TABLE flags (
    flag_key TEXT NOT NULL PRIMARY KEY,
    -- boolean, string, integer, number, object
    kind TEXT NOT NULL,
    description TEXT NULL,
    enabled BOOLEAN NOT NULL,
    -- JSON: variants, the default variant, rules
    definition TEXT NOT NULL,
    version BIGINT NOT NULL,
    updated_by BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
