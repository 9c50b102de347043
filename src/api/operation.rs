//! The words, schemas, answers and error codes that the OpenAPI document has for a route.

use crate::wire::Code;
use crate::wire::microversion::{Microversion, V1_15};
use crate::wire::schema::{LazySchema, Versions};

/// The shapes that the body of an answer has had, oldest first: the version that brought each shape, and the
/// name of its file in `openapi/schemas/responses`.
pub(crate) type Shapes = &'static [(Microversion, &'static str)];

/// The description of an answer that shows what its path names.
pub(crate) const SHOWN: &str = "The requested resource.";
/// The description of an answer to a DELETE.
pub(crate) const GONE: &str = "It is gone.";

/// The documentation of one method of one path.
#[derive(Debug)]
pub struct Operation {
    /// The group under which it is shown.
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    /// The schema that a `name` in the path is held to.
    pub(crate) name: Option<&'static LazySchema>,
    /// The schemas of the query string.
    pub(crate) query: Option<Versions>,
    /// The schemas of the body.
    pub(crate) body: Option<Versions>,
    /// The answers of a request that is not refused.
    pub(crate) successes: &'static [Success],
    /// The error codes of a status beside the codes that every route has (see `openapi/errors.rs`).
    pub(crate) codes: &'static [(u16, &'static [Code])],
    /// The meanings of error statuses, where these differ from the meanings elsewhere.
    pub(crate) words: &'static [(u16, &'static str)],
}

/// One success status of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Success {
    pub(crate) status: u16,
    /// The meaning of the status.
    pub(crate) text: &'static str,
    /// The first version that answers so, if it is not the route's first version.
    pub(crate) since: Option<Microversion>,
    /// The first version that does not answer so any more.
    pub(crate) until: Option<Microversion>,
    pub(crate) content: Content,
    /// Whether there is a `Location`.
    pub(crate) located: bool,
    /// The first version with `Last-Modified` and `Cache-Control`.
    pub(crate) dated: Option<Microversion>,
    /// Whether an answer that shows nothing lacks `Last-Modified`.
    pub(crate) undated_if_empty: bool,
}

/// The body of a success.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    Nothing,
    Json(Shapes),
    Html,
}

/// An operation without schemas, answers and codes.
pub(crate) const fn operation(tag: &'static str, summary: &'static str) -> Operation {
    Operation { tag, summary, name: None, query: None, body: None, successes: &[], codes: &[], words: &[] }
}

impl Operation {
    /// With the schema of a body, whose `name` the name in the path is held to.
    pub(crate) const fn name(mut self, schema: &'static LazySchema) -> Self {
        self.name = Some(schema);
        self
    }

    pub(crate) const fn query(mut self, schemas: Versions) -> Self {
        self.query = Some(schemas);
        self
    }

    pub(crate) const fn body(mut self, schemas: Versions) -> Self {
        self.body = Some(schemas);
        self
    }

    pub(crate) const fn answers(mut self, successes: &'static [Success]) -> Self {
        self.successes = successes;
        self
    }

    pub(crate) const fn codes(mut self, codes: &'static [(u16, &'static [Code])]) -> Self {
        self.codes = codes;
        self
    }

    pub(crate) const fn words(mut self, words: &'static [(u16, &'static str)]) -> Self {
        self.words = words;
        self
    }
}

/// An answer without a body.
pub(crate) const fn empty(status: u16, text: &'static str) -> Success {
    Success {
        status,
        text,
        since: None,
        until: None,
        content: Content::Nothing,
        located: false,
        dated: None,
        undated_if_empty: false,
    }
}

/// JSON. From 1.15 on it comes with the time at which the shown things were changed.
pub(crate) const fn json(status: u16, text: &'static str, shapes: Shapes) -> Success {
    let mut answer = plain(status, text, shapes);
    answer.dated = Some(V1_15);
    answer
}

/// JSON without a time.
pub(crate) const fn plain(status: u16, text: &'static str, shapes: Shapes) -> Success {
    let mut answer = empty(status, text);
    answer.content = Content::Json(shapes);
    answer
}

/// A page in HTML.
pub(crate) const fn html(status: u16, text: &'static str) -> Success {
    let mut answer = empty(status, text);
    answer.content = Content::Html;
    answer
}

impl Success {
    pub(crate) const fn since(mut self, version: Microversion) -> Self {
        self.since = Some(version);
        self
    }

    pub(crate) const fn until(mut self, version: Microversion) -> Self {
        self.until = Some(version);
        self
    }

    pub(crate) const fn located(mut self) -> Self {
        self.located = true;
        self
    }

    pub(crate) const fn undated_if_empty(mut self) -> Self {
        self.undated_if_empty = true;
        self
    }

    pub(crate) const fn dated(mut self, since: Option<Microversion>) -> Self {
        self.dated = since;
        self
    }
}
