//! The files of Placement's configuration: `placement.conf`, and the files of `placement.conf.d` beside it.

use std::fs;
use std::path::{Path, PathBuf};

use super::ini::{self, Assignment};
use crate::config::error::Error;

/// The options of all files, in the order of the files. The options of a later file count.
#[derive(Debug)]
pub(super) struct Files {
    files: Vec<(PathBuf, Vec<Assignment>)>,
}

/// The place of an option: its section, and one of its names.
pub(super) type Place<'a> = (&'a str, &'a str);

impl Files {
    /// Reads the files and the directories `paths`, in their order. After a file, the files of the directory with the
    /// same name and `.d` are read.
    pub fn read(paths: &[PathBuf]) -> Result<Files, Error> {
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                read_directory(path, &mut files)?;
                continue;
            }
            files.push((path.clone(), read_one(path)?));
            let directory = directory_of(path);
            if directory.is_dir() {
                read_directory(&directory, &mut files)?;
            }
        }
        Ok(Files { files })
    }

    /// Returns the options at these places, each with its file. The options of the last file come last. In one file,
    /// an earlier place in `places` beats a later place.
    pub fn find(&self, places: &[Place<'_>]) -> Vec<(&Path, &Assignment)> {
        let mut found = Vec::new();
        for (path, options) in self.files.iter() {
            for place in places.iter().rev() {
                let fits = |option: &&Assignment| (option.section.as_str(), option.name.as_str()) == *place;
                found.extend(options.iter().filter(fits).map(|option| (path.as_path(), option)));
            }
        }
        found
    }

    /// Returns all options with their files, in the order of the files.
    pub fn all(&self) -> impl Iterator<Item = (&Path, &Assignment)> {
        self.files
            .iter()
            .flat_map(|(path, options)| options.iter().map(move |option| (path.as_path(), option)))
    }
}

/// Returns the directory beside a file: `placement.conf.d` for `placement.conf`.
pub(super) fn directory_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".d");
    PathBuf::from(name)
}

/// Returns whether a file of the directory is read. Hidden files are not read.
fn counts(path: &Path) -> bool {
    let is_hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    path.extension().is_some_and(|end| end == "conf") && !is_hidden
}

/// Reads all files `*.conf` of a directory, in the order of their names.
fn read_directory(directory: &Path, files: &mut Vec<(PathBuf, Vec<Assignment>)>) -> Result<(), Error> {
    let entries = fs::read_dir(directory).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|cause| Error::File { path: directory.to_owned(), cause })?;
    let mut paths: Vec<PathBuf> =
        entries.into_iter().map(|entry| entry.path()).filter(|path| counts(path)).collect();
    paths.sort();
    for path in paths {
        let options = read_one(&path)?;
        files.push((path, options));
    }
    Ok(())
}

fn read_one(path: &Path) -> Result<Vec<Assignment>, Error> {
    let text = fs::read_to_string(path).map_err(|cause| Error::File { path: path.to_owned(), cause })?;
    ini::parse(&text).map_err(|broken| Error::Syntax {
        path: path.to_owned(),
        line: broken.line,
        problem: broken.problem.to_owned(),
    })
}
