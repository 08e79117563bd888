-- Feature flags of the installation.
CREATE TABLE flags (
    flag_key varchar(128) COLLATE "C" NOT NULL PRIMARY KEY,
    -- boolean, string, integer, number, object
    kind varchar(16) NOT NULL,
    description varchar(500) NULL,
    enabled boolean NOT NULL,
    -- JSON: variants, the default variant, rules
    definition text NOT NULL,
    version bigint NOT NULL,
    updated_by uuid NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
