//! Functions of databases that diesel has no name for.

#[cfg(feature = "postgres")]
mod arrays {
    use diesel::sql_types::{Array, SingleValue};

    #[diesel::declare_sql_function]
    extern "SQL" {
        /// `column = any(values)`: whether it is among them.
        fn any<ST: SingleValue>(values: Array<ST>) -> ST;
    }
}
#[cfg(feature = "postgres")]
pub use arrays::any;
