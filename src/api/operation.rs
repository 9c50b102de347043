//! The documentation of a route for the OpenAPI document: texts, schemas, responses and error codes.

use crate::wire::Code;
use crate::wire::microversion::{Microversion, V1_15};
use crate::wire::schema::{LazySchema, Versions};

/// The forms of a response body, from old to new: the first microversion with the form, and the name of the schema
/// file in `openapi/schemas/responses`.
pub(crate) type Shapes = &'static [(Microversion, &'static str)];

/// The description of a response that shows the resource in the path.
pub(crate) const SHOWN: &str = "The requested resource.";
/// The description of the response to a DELETE.
pub(crate) const GONE: &str = "It is gone.";

/// The documentation of a route.
#[derive(Debug)]
pub struct Operation {
    /// The group of the route in the OpenAPI document.
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    /// The schema whose member `name` describes the valid values of the path parameter `name`.
    pub(crate) name: Option<&'static LazySchema>,
    /// The schemas of the query string.
    pub(crate) query: Option<Versions>,
    /// The schemas of the request body.
    pub(crate) body: Option<Versions>,
    /// The success responses.
    pub(crate) successes: &'static [Success],
    /// The error codes by status, in addition to the codes that every route has (see `openapi/responses.rs`).
    pub(crate) codes: &'static [(u16, &'static [Code])],
    /// Descriptions of error statuses that differ from the general descriptions.
    pub(crate) words: &'static [(u16, &'static str)],
}

/// One success response of a route.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Success {
    pub(crate) status: u16,
    /// The description of the response.
    pub(crate) text: &'static str,
    /// The first microversion with this response. None if the route always had this response.
    pub(crate) since: Option<Microversion>,
    /// The first microversion without this response. None if the newest version still has this response.
    pub(crate) until: Option<Microversion>,
    pub(crate) content: Content,
    /// True if the response has the header `Location`.
    pub(crate) located: bool,
    /// The first microversion with the headers `Last-Modified` and `Cache-Control`. None if no version has these
    /// headers.
    pub(crate) dated: Option<Microversion>,
    /// True if the response omits `Last-Modified` for an empty list.
    pub(crate) undated_if_empty: bool,
}

/// The kind of response body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    Nothing,
    Json(Shapes),
    Html,
}

/// Returns a documentation without schemas, responses and codes.
pub(crate) const fn operation(tag: &'static str, summary: &'static str) -> Operation {
    Operation { tag, summary, name: None, query: None, body: None, successes: &[], codes: &[], words: &[] }
}

impl Operation {
    /// Adds the schema whose member `name` describes the valid values of the path parameter `name`.
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

/// Returns the description of a response without a body.
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

/// Returns the description of a JSON response that has the header `Last-Modified` from microversion 1.15 on.
pub(crate) const fn json(status: u16, text: &'static str, shapes: Shapes) -> Success {
    let mut answer = plain(status, text, shapes);
    answer.dated = Some(V1_15);
    answer
}

/// Returns the description of a JSON response without `Last-Modified`.
pub(crate) const fn plain(status: u16, text: &'static str, shapes: Shapes) -> Success {
    let mut answer = empty(status, text);
    answer.content = Content::Json(shapes);
    answer
}

/// Returns the description of a response with an HTML page.
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
