-- Feature flags of the installation.
CREATE TABLE flags (
    flag_key VARCHAR(128) NOT NULL PRIMARY KEY,
    -- boolean, string, integer, number, object
    kind VARCHAR(16) NOT NULL,
    description VARCHAR(500) NULL,
    enabled BOOLEAN NOT NULL,
    -- JSON: variants, the default variant, rules
    definition LONGTEXT NOT NULL,
    version BIGINT NOT NULL,
    updated_by BINARY(16) NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
