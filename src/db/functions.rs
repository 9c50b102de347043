//! SQL functions that diesel does not define.

use diesel::sql_types::{Integer, Nullable, Text, Timestamp};

#[diesel::declare_sql_function]
extern "SQL" {
    /// Returns the first time, or the second time if the first time is NULL.
    fn coalesce(first: Nullable<Timestamp>, second: Nullable<Timestamp>) -> Nullable<Timestamp>;

    /// Joins two numbers and two texts into one text, with the separator between them. NULLs are left out.
    fn concat_ws(
        separator: Text,
        first: Nullable<Integer>,
        second: Nullable<Integer>,
        third: Nullable<Text>,
        fourth: Nullable<Text>,
    ) -> Text;

    /// Joins the texts of all rows into one text, with the separator between them. MariaDB has another name for this
    /// function.
    #[aggregate]
    fn string_agg(text: Nullable<Text>, separator: Text) -> Nullable<Text>;
}

#[cfg(feature = "postgres")]
mod arrays {
    use diesel::sql_types::{Array, Integer, SingleValue};

    #[diesel::declare_sql_function]
    extern "SQL" {
        /// Collects the numbers of all rows in one array.
        #[aggregate]
        fn array_agg(number: Integer) -> Array<Integer>;

        /// Builds `column = any(values)`, which is true if the array contains the column's value.
        fn any<ST: SingleValue>(values: Array<ST>) -> ST;
    }
}
#[cfg(feature = "postgres")]
pub use arrays::{any, array_agg};
