CREATE TABLE outbox (
    seq BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    id BINARY(16) NOT NULL,
    event_type VARCHAR(190) NOT NULL,
    subject VARCHAR(190) NOT NULL,
    envelope LONGTEXT NOT NULL,
    created_at BIGINT NOT NULL,
    parked_at BIGINT,
    INDEX outbox_waiting (parked_at, seq)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE outbox_failures (
    event_id BINARY(16) NOT NULL,
    consumer VARCHAR(190) NOT NULL,
    attempts INTEGER NOT NULL,
    next_at BIGINT NOT NULL,
    last_error LONGTEXT NOT NULL,
    dead_at BIGINT,
    PRIMARY KEY (event_id, consumer)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE inbox (
    consumer VARCHAR(190) NOT NULL,
    event_id BINARY(16) NOT NULL,
    handled_at BIGINT NOT NULL,
    PRIMARY KEY (consumer, event_id),
    INDEX inbox_handled (handled_at)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE relay_leases (
    name VARCHAR(190) NOT NULL PRIMARY KEY,
    holder BINARY(16) NOT NULL,
    expires_at BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE TABLE due_work (
    id BINARY(16) NOT NULL PRIMARY KEY,
    kind VARCHAR(190) NOT NULL,
    work_key VARCHAR(190),
    payload LONGTEXT NOT NULL,
    run_at BIGINT NOT NULL,
    generation BINARY(16) NOT NULL,
    attempt INTEGER NOT NULL,
    claim BINARY(16),
    leased_until BIGINT NOT NULL,
    request_id VARCHAR(190) NOT NULL,
    last_error LONGTEXT,
    dead_at BIGINT,
    created_at BIGINT NOT NULL,
    UNIQUE INDEX due_work_key (kind, work_key),
    INDEX due_work_next (dead_at, run_at),
    INDEX due_work_claim (claim)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
