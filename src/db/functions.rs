//! Functions of databases that diesel has no name for.

use diesel::sql_types::{Integer, Nullable, Text, Timestamp};

#[diesel::declare_sql_function]
extern "SQL" {
    /// The first of two times that is there.
    fn coalesce(first: Nullable<Timestamp>, second: Nullable<Timestamp>) -> Nullable<Timestamp>;

    /// Two numbers and two texts as one text, with the separator between them; NULLs are left out.
    fn concat_ws(
        separator: Text,
        first: Nullable<Integer>,
        second: Nullable<Integer>,
        third: Nullable<Text>,
        fourth: Nullable<Text>,
    ) -> Text;

    /// All texts in one, with the separator between them. MariaDB has another name for this function.
    #[aggregate]
    fn string_agg(text: Nullable<Text>, separator: Text) -> Nullable<Text>;
}

#[cfg(feature = "postgres")]
mod arrays {
    use diesel::sql_types::{Array, Integer, SingleValue};

    #[diesel::declare_sql_function]
    extern "SQL" {
        /// All numbers in one list.
        #[aggregate]
        fn array_agg(number: Integer) -> Array<Integer>;

        /// `column = any(values)`: whether it is among them.
        fn any<ST: SingleValue>(values: Array<ST>) -> ST;
    }
}
#[cfg(feature = "postgres")]
pub use arrays::{any, array_agg};
