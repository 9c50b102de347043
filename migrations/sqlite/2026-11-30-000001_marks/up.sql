-- The tables for writers that are not replicas, such as Placement itself. Triggers on Placement's tables write marks, if
-- the setting database.foreign_writers is "triggers". SQLite has no such triggers, and leaves the tables empty.

-- A row for each row of Placement's tables that another program has written. provider_id is the provider whose data has
-- changed. 0 stands for the names of resource classes and traits, and -1 for everything.
CREATE TABLE IF NOT EXISTS allotment_marks (
    id BIGINT NOT NULL,
    provider_id INTEGER NOT NULL,
    PRIMARY KEY (id)
);

-- Replicas that read marks add a row from time to time. The triggers write nothing after the latest ends_at. So the
-- marks do not pile up when no replica runs.
CREATE TABLE IF NOT EXISTS allotment_watches (
    ends_at DATETIME NOT NULL,
    PRIMARY KEY (ends_at)
);
