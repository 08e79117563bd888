CREATE TABLE probe (
    id uuid NOT NULL PRIMARY KEY,
    name text NOT NULL,
    flag boolean NOT NULL,
    big bigint NOT NULL,
    small integer NOT NULL,
    ratio double precision,
    body bytea,
    note text,
    version bigint NOT NULL
);
CREATE UNIQUE INDEX probe_name_key ON probe (name);
CREATE TABLE child (
    id uuid NOT NULL PRIMARY KEY,
    probe_id uuid NOT NULL CONSTRAINT child_probe_fkey REFERENCES probe (id)
);
CREATE TABLE owner (
    id uuid NOT NULL PRIMARY KEY,
    room integer NOT NULL
);
