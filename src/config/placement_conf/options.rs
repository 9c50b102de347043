//! An option of `placement.conf`: its names, its type, its default, and its fate in this service.

/// The type of an option's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words, in any case.
    AnyCase(&'static [&'static str]),
    Flag,
    Integer,
    Float,
    /// Texts with commas in between.
    List,
    /// Texts of which each one is an option of its own with the same name.
    Several,
    /// Pairs `key:value` with commas in between.
    Pairs,
}

/// The fate of an option that `placement.conf` sets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Fate {
    /// This setting gets the value.
    Sets(&'static str),
    /// A function of `translate.rs` reads the option and sets these settings.
    Counts(&'static str),
    /// The option has no meaning for this service, so nothing is said about it.
    Silent,
    /// The option is not honoured, for this reason.
    Remark(&'static str),
}

/// An option of `placement.conf`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opt {
    pub section: &'static str,
    /// The name in a file.
    pub name: &'static str,
    pub kind: Kind,
    /// The default as a file would have it. None if the option has no default.
    pub default: Option<&'static str>,
    pub fate: Fate,
    /// The older names, each with its section.
    pub older: &'static [(&'static str, &'static str)],
}

impl Opt {
    pub(super) const fn new(section: &'static str, name: &'static str, kind: Kind, fate: Fate) -> Opt {
        Opt { section, name, kind, default: None, fate, older: &[] }
    }

    pub(super) const fn default(self, text: &'static str) -> Opt {
        Opt { default: Some(text), ..self }
    }

    pub(super) const fn older(self, names: &'static [(&'static str, &'static str)]) -> Opt {
        Opt { older: names, ..self }
    }

    /// Returns all places at which the option may stand. The first one has the present name.
    pub(super) fn places(&self) -> Vec<(&'static str, &'static str)> {
        let mut places = vec![(self.section, self.name)];
        places.extend(self.older);
        places
    }
}

/// The fate of an option of `placement.conf`, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// The section of the option.
    pub section: &'static str,
    /// The name of the option.
    pub name: &'static str,
    /// The older places of the option: section and name.
    pub older: &'static [(&'static str, &'static str)],
    /// The default as a file would have it.
    pub default: Option<&'static str>,
    /// The fate in a word: `honoured`, `silent` or `remark`.
    pub fate: &'static str,
    /// The setting that gets the value, or the reason why the option is not honoured.
    pub detail: &'static str,
}
