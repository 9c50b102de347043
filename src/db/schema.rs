//! The tables, once for all databases, with types that all of them share.
#![allow(missing_docs, reason = "the columns are upstream's; a table here says no more than its name")]

diesel::table! {
    /// Revision of the schema as Placement's own tools record it.
    alembic_version (version_num) {
        version_num -> Text,
    }
}

diesel::table! {
    resource_providers (id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        id -> Integer,
        uuid -> Text,
        name -> Nullable<Text>,
        generation -> Nullable<Integer>,
        root_provider_id -> Nullable<Integer>,
        parent_provider_id -> Nullable<Integer>,
    }
}

diesel::table! {
    inventories (id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        id -> Integer,
        resource_provider_id -> Integer,
        resource_class_id -> Integer,
        total -> Integer,
        reserved -> Integer,
        min_unit -> Integer,
        max_unit -> Integer,
        step_size -> Integer,
        allocation_ratio -> Double,
    }
}

diesel::table! {
    allocations (id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        id -> Integer,
        resource_provider_id -> Integer,
        consumer_id -> Text,
        resource_class_id -> Integer,
        used -> Integer,
    }
}

diesel::table! {
    consumers (id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        id -> Integer,
        uuid -> Text,
        project_id -> Integer,
        user_id -> Integer,
        generation -> Integer,
        consumer_type_id -> Nullable<Integer>,
    }
}

diesel::table! {
    projects (id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        id -> Integer,
        external_id -> Text,
    }
}

diesel::table! {
    users (id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        id -> Integer,
        external_id -> Text,
    }
}

diesel::table! {
    consumer_types (id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        id -> Integer,
        name -> Text,
    }
}

diesel::table! {
    resource_classes (id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        id -> Integer,
        name -> Text,
    }
}

diesel::table! {
    traits (id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        id -> Integer,
        name -> Text,
    }
}

diesel::table! {
    resource_provider_traits (trait_id, resource_provider_id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        trait_id -> Integer,
        resource_provider_id -> Integer,
    }
}

diesel::table! {
    placement_aggregates (id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        id -> Integer,
        uuid -> Nullable<Text>,
    }
}

diesel::table! {
    resource_provider_aggregates (resource_provider_id, aggregate_id) {
        created_at -> Nullable<Timestamp>,
        updated_at -> Nullable<Timestamp>,
        resource_provider_id -> Integer,
        aggregate_id -> Integer,
    }
}

diesel::table! {
    waitlist_owners (owner) {
        owner -> Text,
        generation -> BigInt,
        fence_floor -> BigInt,
    }
}

diesel::table! {
    waitlist_queues (id) {
        id -> Integer,
        owner -> Text,
        scope -> Text,
        resource_id -> Text,
        generation -> BigInt,
        live -> Integer,
        created_at -> Timestamp,
        updated_at -> Timestamp,
    }
}

diesel::table! {
    waitlist_groups (uuid) {
        uuid -> Text,
        generation -> BigInt,
        created_at -> Timestamp,
    }
}

diesel::table! {
    waitlist_tickets (queue_id, position) {
        queue_id -> Integer,
        position -> BigInt,
        uuid -> Text,
        status -> Text,
        holds -> Nullable<Integer>,
        generation -> BigInt,
        fence -> Nullable<BigInt>,
        fenced_writes -> BigInt,
        group_uuid -> Nullable<Text>,
        action -> Nullable<Text>,
        extra -> Nullable<Text>,
        project_id -> Nullable<Text>,
        user_id -> Nullable<Text>,
        request_id -> Nullable<Text>,
        expires_at -> Nullable<BigInt>,
        expires_text -> Nullable<Text>,
        lease_seconds -> Nullable<Integer>,
        created_at -> Timestamp,
        updated_at -> Timestamp,
        activated_at -> Nullable<Timestamp>,
    }
}

diesel::allow_tables_to_appear_in_same_query!(
    waitlist_owners,
    waitlist_queues,
    waitlist_groups,
    waitlist_tickets,
);

diesel::allow_tables_to_appear_in_same_query!(
    resource_providers,
    inventories,
    allocations,
    consumers,
    projects,
    users,
    consumer_types,
    resource_classes,
    traits,
    resource_provider_traits,
    placement_aggregates,
    resource_provider_aggregates,
);

diesel::allow_columns_to_appear_in_same_group_by_clause!(
    resource_providers::uuid,
    resource_providers::generation,
    resource_classes::id,
    resource_classes::name,
    consumer_types::name,
);

diesel::allow_columns_to_appear_in_same_group_by_clause!(
    resource_providers::id,
    resource_providers::generation,
    resource_providers::updated_at,
    allocations::resource_class_id,
);
