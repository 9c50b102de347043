//! The types of row ids and generations. The compiler then finds numbers that are mixed up.

/// Makes a type with one `i32` field a value of an Integer column.
macro_rules! integer_column {
    ($name:ident) => {
        impl<DB> diesel::serialize::ToSql<diesel::sql_types::Integer, DB> for $name
        where
            DB: diesel::backend::Backend,
            i32: diesel::serialize::ToSql<diesel::sql_types::Integer, DB>,
        {
            fn to_sql<'b>(
                &'b self,
                out: &mut diesel::serialize::Output<'b, '_, DB>,
            ) -> diesel::serialize::Result {
                self.0.to_sql(out)
            }
        }

        impl<DB> diesel::deserialize::FromSql<diesel::sql_types::Integer, DB> for $name
        where
            DB: diesel::backend::Backend,
            i32: diesel::deserialize::FromSql<diesel::sql_types::Integer, DB>,
        {
            fn from_sql(bytes: DB::RawValue<'_>) -> diesel::deserialize::Result<Self> {
                i32::from_sql(bytes).map($name)
            }
        }
    };
}

/// Defines the type of the row ids of one table.
macro_rules! row_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Clone,
            Copy,
            Debug,
            Default,
            PartialEq,
            Eq,
            PartialOrd,
            Ord,
            Hash,
            serde::Serialize,
            serde::Deserialize,
            diesel::expression::AsExpression,
            diesel::deserialize::FromSqlRow,
        )]
        #[serde(transparent)]
        #[diesel(sql_type = diesel::sql_types::Integer)]
        pub struct $name(i32);

        integer_column!($name);

        impl $name {
            /// A number below the ids of all rows.
            pub const MIN: Self = $name(i32::MIN);

            /// Returns the id with this number.
            pub const fn new(number: i32) -> Self {
                $name(number)
            }

            /// Returns the number of the id.
            pub const fn get(self) -> i32 {
                self.0
            }
        }
    };
}

row_id! {
    /// The row id of a resource provider.
    ProviderId
}

row_id! {
    /// The row id of a resource class.
    ClassId
}

row_id! {
    /// The row id of a trait.
    TraitId
}

row_id! {
    /// The row id of a consumer.
    ConsumerId
}

/// The generation of a provider or of a consumer: a number that increases with each write.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    serde::Serialize,
    diesel::expression::AsExpression,
    diesel::deserialize::FromSqlRow,
)]
#[serde(transparent)]
#[diesel(sql_type = diesel::sql_types::Integer)]
pub struct Generation(i32);

integer_column!(Generation);

impl Generation {
    /// Returns the generation with this number.
    pub const fn new(number: i32) -> Self {
        Generation(number)
    }

    /// Returns the number of the generation.
    pub const fn get(self) -> i32 {
        self.0
    }

    /// Returns the generation after one write.
    #[must_use]
    pub const fn next(self) -> Self {
        Generation(self.0 + 1)
    }

    /// Returns true if a client that states the number `given` means this generation.
    pub fn is(self, given: i64) -> bool {
        i64::from(self.0) == given
    }
}

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}
