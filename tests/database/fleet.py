"""A fleet that is written in SQL, while no service runs. No statistics of the database are taken."""

import databases

CLASSES = {'VCPU': (64, 2), 'MEMORY_MB': (262144, 4096), 'DISK_GB': (4000, 40)}
TRAITS = ['HW_CPU_X86_AVX', 'HW_CPU_X86_AVX2', 'COMPUTE_NODE']
# All hosts are in this aggregate, which the scenario of the API reference uses too.
RACK = 'a7b6c1de-52f3-4ad8-9d61-5c4b17e2b001'
CONSUMERS = 3
# The consumers of ten hosts belong to one project.
HOSTS_OF_PROJECT = 10
ROWS_OF_STATEMENT = 1000
NOW = "'2026-11-01 00:00:00'"


def host_uuid(number):
    return f'aaaaaaaa-0000-4000-8000-{number:012}'


def consumer_uuid(number):
    return f'cccccccc-0000-4000-8000-{number:012}'


def ticket_uuid(number):
    return f'dddddddd-0000-4000-8000-{number:012}'


def uuids(hosts):
    """The uuids of the hosts and of their tickets."""
    return [make(number) for make in (host_uuid, ticket_uuid) for number in range(1, hosts + 1)]


def inserts(table, columns, rows):
    """INSERT statements for these rows, whose values are SQL."""
    rows = list(rows)
    for start in range(0, len(rows), ROWS_OF_STATEMENT):
        values = ', '.join('(' + ', '.join(map(str, row)) + ')' for row in rows[start:start + ROWS_OF_STATEMENT])
        yield f'INSERT INTO {table} ({columns}) VALUES {values}'


def ids(database, table, names):
    listed = ', '.join(f"'{name}'" for name in names)
    return dict(database.query(f'SELECT name, id FROM {table} WHERE name IN ({listed})'))


def statements(database, hosts):
    classes, traits = ids(database, 'resource_classes', CLASSES), ids(database, 'traits', TRAITS)
    numbers = range(1, hosts + 1)
    held = [(number * CONSUMERS + of_host, number) for number in numbers for of_host in range(CONSUMERS)]
    projects = range(1, hosts // HOSTS_OF_PROJECT + 2)
    yield from inserts('resource_providers', 'created_at, id, uuid, name, generation, root_provider_id', (
        (NOW, number, f"'{host_uuid(number)}'", f"'fleet-{number}'", 4, number) for number in numbers))
    yield from inserts('inventories', 'created_at, resource_provider_id, resource_class_id, total, reserved, min_unit, '
                       'max_unit, step_size, allocation_ratio', (
                           (NOW, number, classes[name], total, 0, 1, total, 1, '1.0')
                           for number in numbers for name, (total, _) in CLASSES.items()))
    yield from inserts('resource_provider_traits', 'created_at, trait_id, resource_provider_id', (
        (NOW, trait, number) for trait in traits.values() for number in numbers))
    yield f"INSERT INTO placement_aggregates (created_at, id, uuid) VALUES ({NOW}, 1, '{RACK}')"
    yield from inserts('resource_provider_aggregates', 'created_at, resource_provider_id, aggregate_id', (
        (NOW, number, 1) for number in numbers))
    for table in ('projects', 'users'):
        yield from inserts(table, 'created_at, id, external_id', (
            (NOW, number, f"'{table}-{number}'") for number in projects))
    yield from inserts('consumers', 'created_at, uuid, project_id, user_id, generation', (
        (NOW, f"'{consumer_uuid(consumer)}'", host // HOSTS_OF_PROJECT + 1, host // HOSTS_OF_PROJECT + 1, 1)
        for consumer, host in held))
    yield from inserts('allocations', 'created_at, resource_provider_id, consumer_id, resource_class_id, used', (
        (NOW, host, f"'{consumer_uuid(consumer)}'", classes[name], used)
        for consumer, host in held for name, (_, used) in CLASSES.items()))
    yield from waitlist(numbers)
    if isinstance(database, databases.PostgreSql):
        for table in ('resource_providers', 'placement_aggregates', 'projects', 'users', 'waitlist_queues'):
            yield f"SELECT setval('{table}_id_seq', (SELECT max(id) FROM {table}))"


def waitlist(numbers):
    """Each host has a queue with an active ticket, whose lease ends in a hundred years."""
    yield from inserts('waitlist_owners', 'owner, generation, fence_floor', (
        (f"'{host_uuid(number)}'", 1, 0) for number in numbers))
    yield from inserts('waitlist_queues', 'id, owner, scope, resource_id, generation, live, created_at, updated_at', (
        (number, f"'{host_uuid(number)}'", "'vm'", "'one'", 1, 1, NOW, NOW) for number in numbers))
    yield from inserts('waitlist_tickets', 'queue_id, position, uuid, status, holds, generation, fence, fenced_writes, '
                       'expires_at, created_at, updated_at, activated_at', (
                           (number, 1, f"'{ticket_uuid(number)}'", "'active'", number, 1, 1, 0,
                            4_900_000_000_000_000, NOW, NOW, NOW) for number in numbers))


def fill(database, hosts):
    """Writes a fleet of this many hosts. The schema exists, and the tables are empty."""
    database.execute(statements(database, hosts))
