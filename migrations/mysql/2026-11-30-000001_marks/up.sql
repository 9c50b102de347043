-- The tables for writers that are not replicas, such as Placement itself. Triggers on Placement's tables write marks, if
-- the setting database.foreign_writers is "triggers".

-- A row for each row of Placement's tables that another program has written. provider_id is the provider whose data has
-- changed. 0 stands for the names of resource classes and traits, and -1 for everything.
CREATE TABLE IF NOT EXISTS allotment_marks (
    id BIGINT NOT NULL AUTO_INCREMENT,
    provider_id INTEGER NOT NULL,
    PRIMARY KEY (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;

-- Replicas that read marks add a row from time to time. The triggers write nothing after the latest ends_at. So the
-- marks do not pile up when no replica runs.
CREATE TABLE IF NOT EXISTS allotment_watches (
    ends_at DATETIME(6) NOT NULL,
    PRIMARY KEY (ends_at)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_nopad_bin;
