//! The limit of open files of the process, and the number of connections that this limit permits.

use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Settings;

/// The expected number of open files besides client and database connections: the log, certificates, the policy
/// file, connections to Keystone (OpenStack's identity service), and a reserve.
const OTHERS: usize = 64;

/// The expected number of open files of one worker thread, without its connections.
const OF_A_WORKER: usize = 8;

/// The largest number of open files of one database connection. A connection to SQLite has three files open: the
/// database, the write-ahead log, and the index of the log.
const OF_THE_POOL: usize = 3;

/// Raises the soft limit of open files to the hard limit. Returns the number of files that the process may open.
pub(super) fn raise() -> usize {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let mut most = maximum;
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        log::warn!("the limit of open files cannot be raised: {error}");
        most = current;
    }
    most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX))
}

/// Returns the largest number of client connections of one worker thread: `limits.connections`, or less if the
/// process may not open enough files. A lower number is logged. Without this bound, client connections could use
/// up all files, and the service could open no database connection.
pub(super) fn connections(settings: &Settings, files: usize) -> usize {
    let workers = settings.workers.unwrap_or_else(|| available_parallelism().map_or(2, NonZeroUsize::get));
    let addresses = 1 + usize::from(settings.waitlist.cnapi_listen.is_some());
    let most = most(files, workers, addresses, settings.database.most_connections() as usize);
    let wanted = settings.limits.connections;
    if most < wanted {
        log::warn!(
            "limits.connections is {most} instead of {wanted} for each worker, since the process may have {files} \
             files open (ulimit -Hn)"
        );
    }
    most.min(wanted)
}

fn most(files: usize, workers: usize, addresses: usize, pool: usize) -> usize {
    let others = OTHERS + OF_A_WORKER * workers * addresses + OF_THE_POOL * pool;
    (files.saturating_sub(others) / (workers * addresses).max(1)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_files_for_all_else() {
        assert_eq!(most(200, 2, 1, 4), 54);
        assert_eq!(most(1_024, 2, 2, 16), 220);
        assert_eq!(most(10, 2, 1, 16), 1);
        assert!(most(usize::MAX, 64, 2, 100) > 1_000_000);
    }
}
