//! A lock file beside an SQLite file, so that only one service at a time uses the SQLite file. The lock ends with the
//! process.
//!
//! SQLite allows several processes to use one file. But a service answers searches from its own copy of the providers
//! in memory, which lacks the writes of other processes. The lock is on a file of its own, since closing any
//! descriptor of the SQLite file would release SQLite's own locks.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::db::Error;

/// The mode of new files: only the owner may read and write. SQLite uses the mode of the database file for its other
/// files too.
const MODE: u32 = 0o600;
/// The longest wait for the lock. A service that is just stopping may still have the lock.
const PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two attempts to acquire the lock.
const PAUSE: Duration = Duration::from_millis(20);
/// The largest number of symbolic links that are followed. The kernel has the same limit.
const MAX_LINKS: u32 = 40;

/// The acquired lock. Dropping this value releases the lock, and so does any end of the process.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Acquires the lock of the SQLite file at `path`. Creates a missing SQLite file, which only its owner can read
    /// and write. Returns an error after 3 seconds if another process has the lock.
    pub fn take(path: &str) -> Result<FileLock, Error> {
        let path = real_path(Path::new(path), MAX_LINKS);
        let unusable = |what: &Path, cause: &dyn std::fmt::Display| {
            Error::Unusable(format!("cannot use {}: {cause}", what.display()))
        };
        let name = lock_of(&path);
        let file = open(&name).map_err(|cause| unusable(&name, &cause))?;
        let deadline = Instant::now() + PATIENCE;
        while let Err(error) = file.try_lock() {
            match error {
                TryLockError::Error(cause) => return Err(unusable(&name, &cause)),
                TryLockError::WouldBlock if Instant::now() < deadline => std::thread::sleep(PAUSE),
                TryLockError::WouldBlock => {
                    return Err(Error::Unusable(format!(
                        "the SQLite file {} is in use by another allotment: one at a time may serve or migrate it, and \
                         several can share a database on PostgreSQL or MariaDB",
                        path.display()
                    )));
                }
            }
        }
        // An existing SQLite file is not opened here, because closing the file would release the locks of all SQLite
        // connections of this process.
        if !path.exists() {
            open(&path).map_err(|cause| unusable(&path, &cause))?;
        }
        let mode = path.metadata().map_err(|cause| unusable(&path, &cause))?.permissions().mode();
        if mode & 0o077 != 0 {
            log::warn!(
                "{} can be read or written by others than its owner: chmod 600 ends that",
                path.display()
            );
        }
        Ok(FileLock { _file: file })
    }
}

/// Returns true if a process has the lock of the SQLite file at `path`. Creates no file.
pub fn is_taken(path: &str) -> bool {
    let path = real_path(Path::new(path), MAX_LINKS);
    let file = File::open(lock_of(&path));
    // The shared lock, which ends with the file, keeps no service waiting for longer than this function runs.
    file.is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Returns the path of the lock file beside an SQLite file.
fn lock_of(path: &Path) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push("-lock");
    PathBuf::from(name)
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(MODE).open(path)
}

/// Returns the absolute path of a file without symbolic links, so that each file has exactly one such path. The file
/// may be missing.
fn real_path(path: &Path, links: u32) -> PathBuf {
    let beside = |name: &Path| path.parent().unwrap_or(Path::new("")).join(name);
    match path.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == ErrorKind::NotFound => match (path.read_link(), path.file_name()) {
            // The symbolic link leads to a missing file.
            (Ok(link), _) if links > 0 => real_path(&beside(&link), links - 1),
            (_, Some(name)) => match beside(Path::new(".")).canonicalize() {
                Ok(directory) => directory.join(name),
                Err(_) => path.to_owned(),
            },
            _ => path.to_owned(),
        },
        Err(_) => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(path: &Path) -> Result<FileLock, Error> {
        FileLock::take(path.to_str().unwrap())
    }

    #[test]
    fn a_file_has_one_lock_however_its_path_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("a.db"), directory.path().join("link.db"));
        std::os::unix::fs::symlink("a.db", &link).unwrap();
        std::fs::create_dir(directory.path().join("x")).unwrap();
        let is_taken = || is_taken(file.to_str().unwrap());
        assert!(!is_taken());
        let held = take(&link).unwrap();
        assert!(is_taken());
        for path in [file.clone(), link, directory.path().join("x/../a.db")] {
            let error = take(&path).unwrap_err().to_string();
            assert!(error.contains(file.canonicalize().unwrap().to_str().unwrap()), "{error}");
        }
        take(&directory.path().join("b.db")).unwrap();
        drop(held);
        assert!(!is_taken());
        take(&file).unwrap();
    }

    #[test]
    fn new_files_are_their_owners() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.db");
        let _lock = take(&path).unwrap();
        for name in ["a.db", "a.db-lock"] {
            let mode = std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }

    #[test]
    fn a_path_that_cannot_be_used_is_named() {
        let error = FileLock::take("/nonexistent/a.db").unwrap_err().to_string();
        assert!(error.contains("/nonexistent/a.db"), "{error}");
    }
}
