CREATE TABLE probe (
    id BINARY(16) NOT NULL PRIMARY KEY,
    name VARCHAR(200) NOT NULL,
    flag BOOLEAN NOT NULL,
    big BIGINT NOT NULL,
    small INT NOT NULL,
    ratio DOUBLE NULL,
    body LONGBLOB NULL,
    note LONGTEXT NULL,
    version BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE UNIQUE INDEX probe_name_key ON probe (name);
CREATE TABLE child (
    id BINARY(16) NOT NULL PRIMARY KEY,
    probe_id BINARY(16) NOT NULL,
    CONSTRAINT child_probe_fkey FOREIGN KEY (probe_id) REFERENCES probe (id)
) ENGINE = InnoDB;
CREATE TABLE owner (
    id BINARY(16) NOT NULL PRIMARY KEY,
    room INT NOT NULL,
    INDEX owner_room (room)
) ENGINE = InnoDB;
