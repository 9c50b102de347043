-- The change feed's tables, which Placement does not have and does not read.

-- A row for each running replica of the service. identity names its process. beat grows while the replica runs.
-- known is the newest replica that the replica knows.
CREATE TABLE IF NOT EXISTS allotment_replicas (
    id INTEGER NOT NULL,
    token VARCHAR(36) NOT NULL,
    identity VARCHAR(255) NOT NULL,
    version VARCHAR(64) NOT NULL,
    beat BIGINT NOT NULL,
    known INTEGER NOT NULL,
    has_left INTEGER NOT NULL,
    started_at DATETIME(6) NOT NULL,
    seen_at DATETIME(6) NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uniq_allotment_replicas0token UNIQUE (token)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- A row for each transaction that changed something that other replicas keep in memory. Each replica numbers its
-- own transactions.
CREATE TABLE IF NOT EXISTS allotment_changes (
    replica_id INTEGER NOT NULL,
    number BIGINT NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (replica_id, number)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
