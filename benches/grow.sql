-- Makes a fleet of :hosts hosts from one of :few (a multiple of 10) that benches/load.rs has
-- filled, on PostgreSQL: host N becomes a copy of host N % 10 of the last ten, with the uuids, names
-- and aggregates that the load driver would have given it. Over HTTP, a large fleet takes an hour.
CREATE TEMP TABLE host AS
    SELECT n, to_hex(n) AS hex, :few - 10 + n % 10 AS model FROM generate_series(:few, :hosts - 1) AS n;
CREATE TEMP TABLE part AS
    SELECT p.id AS model_id, h.n, left(p.uuid, 28) || lpad(h.hex, 8, '0') AS uuid,
        regexp_replace(p.name, '^host\d+', 'host' || h.n) AS name,
        nextval('resource_providers_id_seq')::int AS id
    FROM (SELECT *, ('x' || right(uuid, 8))::bit(32)::int AS n FROM resource_providers) AS p
    JOIN host AS h ON h.model = p.n ORDER BY h.n, p.id;
CREATE UNIQUE INDEX ON part (n, model_id);
INSERT INTO resource_providers (created_at, updated_at, id, uuid, name, generation, root_provider_id, parent_provider_id)
    SELECT m.created_at, m.updated_at, part.id, part.uuid, part.name, m.generation, root.id, parent.id
    FROM part JOIN resource_providers AS m ON m.id = part.model_id
    JOIN part AS root ON root.n = part.n AND root.model_id = m.root_provider_id
    LEFT JOIN part AS parent ON parent.n = part.n AND parent.model_id = m.parent_provider_id;
INSERT INTO inventories (created_at, resource_provider_id, resource_class_id, total, reserved, min_unit, max_unit, step_size, allocation_ratio)
    SELECT i.created_at, part.id, resource_class_id, total, reserved, min_unit, max_unit, step_size, allocation_ratio
    FROM part JOIN inventories AS i ON i.resource_provider_id = part.model_id;
INSERT INTO resource_provider_traits (created_at, trait_id, resource_provider_id)
    SELECT t.created_at, t.trait_id, part.id
    FROM part JOIN resource_provider_traits AS t ON t.resource_provider_id = part.model_id;
-- An aggregate of a third of all hosts, and one of 40 in a row.
INSERT INTO placement_aggregates (uuid)
    SELECT DISTINCT 'a6600000-0000-4000-8000-0001' || lpad(to_hex(n / 40), 8, '0') FROM host
    ON CONFLICT DO NOTHING;
INSERT INTO resource_provider_aggregates (resource_provider_id, aggregate_id)
    SELECT part.id, a.id FROM part JOIN resource_providers AS p ON p.id = part.id AND p.root_provider_id = p.id
    JOIN placement_aggregates AS a ON a.uuid IN (
        'a6600000-0000-4000-8000-0000' || lpad(to_hex(part.n % 3), 8, '0'),
        'a6600000-0000-4000-8000-0001' || lpad(to_hex(part.n / 40), 8, '0'));
INSERT INTO consumers (created_at, uuid, project_id, user_id, generation, consumer_type_id)
    SELECT c.created_at, left(c.uuid, 28) || lpad(h.hex, 8, '0'), project_id, user_id, generation, consumer_type_id
    FROM host AS h
    JOIN (SELECT *, ('x' || right(uuid, 8))::bit(32)::int AS n FROM consumers) AS c ON c.n = h.model;
INSERT INTO allocations (created_at, resource_provider_id, consumer_id, resource_class_id, used)
    SELECT a.created_at, part.id, left(a.consumer_id, 28) || right(part.uuid, 8), resource_class_id, used
    FROM part JOIN allocations AS a ON a.resource_provider_id = part.model_id;
ANALYZE;
