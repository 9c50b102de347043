//! The parts that all tests of this program share: the service under test, its database, clients.

mod app;
mod client;
mod database;
mod fixtures;
mod process;
mod random;
mod raw;
mod world;

pub use app::{TestApp, settings};
pub use client::{Answer, Client};
pub use database::{Backend, Database};
pub use fixtures::{allocations, claim, inventory, uuid};
pub use process::{Ended, Process, Program};
pub use random::{rng, seed};
pub use raw::{exchange, exchange_cut_short};
pub use world::{CLASS, TRAIT, World};

/// Makes of a function a test for each database: `on_each_database!(name)` of a function that takes
/// a [`TestApp`], `on_each_database!(name: Backend)` of one that starts what it needs itself.
macro_rules! on_each_database {
    ($name:ident) => {
        on_each_database!(@tests $name, |backend| super::$name(crate::support::TestApp::start(backend)));
    };
    ($name:ident: Backend) => {
        on_each_database!(@tests $name, |backend| super::$name(backend));
    };
    (@tests $name:ident, |$backend:ident| $run:expr) => {
        mod $name {
            #[cfg(feature = "sqlite")]
            #[test]
            fn sqlite() {
                let $backend = crate::support::Backend::Sqlite;
                $run;
            }

            #[cfg(feature = "postgres")]
            #[test]
            fn postgres() {
                let $backend = crate::support::Backend::Postgres;
                $run;
            }

            #[cfg(feature = "mysql")]
            #[test]
            fn mysql() {
                let $backend = crate::support::Backend::Mysql;
                $run;
            }
        }
    };
}

/// The same for the databases that several services can share.
macro_rules! on_each_server {
    ($name:ident: Backend) => {
        mod $name {
            #[cfg(feature = "postgres")]
            #[test]
            fn postgres() {
                super::$name(crate::support::Backend::Postgres);
            }

            #[cfg(feature = "mysql")]
            #[test]
            fn mysql() {
                super::$name(crate::support::Backend::Mysql);
            }
        }
    };
}
