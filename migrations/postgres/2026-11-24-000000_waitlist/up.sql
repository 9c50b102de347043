-- The waitlist's tables, which Placement does not have and does not read. They name
-- providers by uuid, without a foreign key, so that either server can delete a
-- provider.

CREATE TABLE IF NOT EXISTS waitlist_owners (
    owner VARCHAR(36) NOT NULL,
    generation BIGINT NOT NULL,
    fence_floor BIGINT NOT NULL,
    PRIMARY KEY (owner)
);

CREATE TABLE IF NOT EXISTS waitlist_queues (
    id SERIAL NOT NULL,
    owner VARCHAR(36) NOT NULL,
    scope VARCHAR(255) NOT NULL,
    resource_id VARCHAR(255) NOT NULL,
    generation BIGINT NOT NULL,
    live INTEGER NOT NULL,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    PRIMARY KEY (id),
    CONSTRAINT uniq_waitlist_queues0owner_scope_resource_id UNIQUE (owner, scope, resource_id)
);

CREATE INDEX IF NOT EXISTS waitlist_queues_live_updated_at_idx ON waitlist_queues (live, updated_at);

CREATE TABLE IF NOT EXISTS waitlist_groups (
    uuid VARCHAR(36) NOT NULL,
    generation BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (uuid)
);

-- holds is the queue of an active ticket. It is unique, so no queue can have two
-- active tickets. expires_at is in microseconds since 1970, since MariaDB loses
-- times after 2037.
CREATE TABLE IF NOT EXISTS waitlist_tickets (
    queue_id INTEGER NOT NULL,
    position BIGINT NOT NULL,
    uuid VARCHAR(36) NOT NULL,
    status VARCHAR(8) NOT NULL,
    holds INTEGER,
    generation BIGINT NOT NULL,
    fence BIGINT,
    fenced_writes BIGINT NOT NULL,
    group_uuid VARCHAR(36),
    action VARCHAR(255),
    extra TEXT,
    project_id VARCHAR(255),
    user_id VARCHAR(255),
    request_id VARCHAR(255),
    expires_at BIGINT,
    expires_text VARCHAR(255),
    lease_seconds INTEGER,
    created_at TIMESTAMP NOT NULL,
    updated_at TIMESTAMP NOT NULL,
    activated_at TIMESTAMP,
    PRIMARY KEY (queue_id, position),
    CONSTRAINT uniq_waitlist_tickets0uuid UNIQUE (uuid),
    CONSTRAINT uniq_waitlist_tickets0holds UNIQUE (holds)
);

CREATE INDEX IF NOT EXISTS waitlist_tickets_queue_id_status_position_idx ON waitlist_tickets (queue_id, status, position);
CREATE INDEX IF NOT EXISTS waitlist_tickets_status_expires_at_idx ON waitlist_tickets (status, expires_at);
CREATE INDEX IF NOT EXISTS waitlist_tickets_status_updated_at_idx ON waitlist_tickets (status, updated_at);
CREATE INDEX IF NOT EXISTS waitlist_tickets_group_uuid_idx ON waitlist_tickets (group_uuid);
