//! The words, schemas, statuses and error codes of each route in the OpenAPI document. The table of routes has the
//! rest.

use actix_web::http::Method;

use crate::api::routes::{
    AGGREGATES, CNAPI_RELEASE, CNAPI_TICKET, CNAPI_WAIT, CONSUMER, DRAFT, DRAFT_TICKET, GROUP, INVENTORIES,
    INVENTORY, PROVIDER, PROVIDER_TRAITS, PROVIDER_WAITLIST, RESOURCE_CLASS, SERVER_TICKETS, TICKET, TRAIT,
    WAITLIST,
};
use crate::wire::error::Code;
use crate::wire::microversion::{
    Microversion, V1_0, V1_1, V1_2, V1_6, V1_7, V1_9, V1_10, V1_11, V1_12, V1_14, V1_15, V1_17, V1_19, V1_20,
    V1_23, V1_28, V1_29, V1_34, V1_38,
};
use crate::wire::schema;
use crate::wire::schema::{LazySchema, Versions};

/// The shapes that a body in an answer has had, oldest first: names of files in `schemas/responses`
/// with the versions that brought them.
pub(crate) type Shapes = &'static [(Microversion, &'static str)];

/// One method of one path, as it is documented.
#[derive(Debug)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    /// The group under which it is shown.
    pub(crate) tag: &'static str,
    pub(crate) summary: &'static str,
    /// The schema that a `name` in the path is held to.
    pub(crate) name: Option<&'static LazySchema>,
    /// The schemas of the query string.
    pub(crate) query: Option<Versions>,
    /// The schemas of the body.
    pub(crate) body: Option<Versions>,
    /// How it answers when all is well.
    pub(crate) answers: &'static [Answer],
    /// The error codes of a status beside those that every route has (see `openapi`).
    pub(crate) codes: &'static [(u16, &'static [Code])],
    /// The meaning of error statuses that mean something else here than elsewhere.
    pub(crate) words: &'static [(u16, &'static str)],
}

/// One success status of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The meaning of the answer.
    pub(crate) text: &'static str,
    /// The first version that answers so, if not that of the route.
    pub(crate) since: Option<Microversion>,
    /// The first version that does not answer so any more.
    pub(crate) until: Option<Microversion>,
    pub(crate) content: Content,
    /// Whether there is a `Location`.
    pub(crate) located: bool,
    /// The first version with `Last-Modified` and `Cache-Control`.
    pub(crate) dated: Option<Microversion>,
    /// Whether an answer that shows nothing has no `Last-Modified`.
    pub(crate) undated_if_empty: bool,
}

/// The body of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Content {
    Nothing,
    Json(Shapes),
    Html,
}

const fn operation(
    method: Method,
    path: &'static str,
    tag: &'static str,
    summary: &'static str,
) -> Operation {
    Operation {
        method,
        path,
        tag,
        summary,
        name: None,
        query: None,
        body: None,
        answers: &[],
        codes: &[],
        words: &[],
    }
}

impl Operation {
    /// The name in the path is held to what a body with a name is held to.
    const fn name(mut self, schema: &'static LazySchema) -> Self {
        self.name = Some(schema);
        self
    }

    const fn query(mut self, schemas: Versions) -> Self {
        self.query = Some(schemas);
        self
    }

    const fn body(mut self, schemas: Versions) -> Self {
        self.body = Some(schemas);
        self
    }

    const fn answers(mut self, answers: &'static [Answer]) -> Self {
        self.answers = answers;
        self
    }

    const fn codes(mut self, codes: &'static [(u16, &'static [Code])]) -> Self {
        self.codes = codes;
        self
    }

    const fn words(mut self, words: &'static [(u16, &'static str)]) -> Self {
        self.words = words;
        self
    }
}

const fn empty(status: u16, text: &'static str) -> Answer {
    Answer {
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

/// JSON, from 1.15 on with the time of what it shows.
const fn json(status: u16, text: &'static str, shapes: Shapes) -> Answer {
    let mut answer = empty(status, text);
    answer.content = Content::Json(shapes);
    answer.dated = Some(V1_15);
    answer
}

impl Answer {
    const fn since(mut self, version: Microversion) -> Self {
        self.since = Some(version);
        self
    }

    const fn until(mut self, version: Microversion) -> Self {
        self.until = Some(version);
        self
    }

    const fn located(mut self) -> Self {
        self.located = true;
        self
    }

    const fn undated_if_empty(mut self) -> Self {
        self.undated_if_empty = true;
        self
    }

    const fn dated(mut self, since: Option<Microversion>) -> Self {
        self.dated = since;
        self
    }
}

const DOCUMENTS: &str = "Documents";
const PROVIDERS: &str = "Resource providers";
const CLASSES: &str = "Resource classes";
const PROVIDER_INVENTORIES: &str = "Resource provider inventories";
const PROVIDER_USAGES: &str = "Resource provider usages";
const PROVIDER_AGGREGATES: &str = "Resource provider aggregates";
const PROVIDER_ALLOCATIONS: &str = "Resource provider allocations";
const TRAITS_OF_PROVIDER: &str = "Resource provider traits";
const TRAITS: &str = "Traits";
const ALLOCATIONS: &str = "Allocations";
const CANDIDATES: &str = "Allocation candidates";
const USAGES: &str = "Usages";
const RESHAPER: &str = "Reshaper";
const TURNS: &str = "Waitlist";
const CNAPI: &str = "Waitlist of CNAPI";
const CNAPI_DRAFT: &str = "Waitlist of CNAPI, first page";

const SHOWN: &str = "The requested resource.";
const GONE: &str = "It is gone.";

const PROVIDER_SHAPES: Shapes = &[
    (V1_0, "resource_provider_show_1_0"),
    (V1_1, "resource_provider_show_1_1"),
    (V1_6, "resource_provider_show_1_6"),
    (V1_11, "resource_provider_show_1_11"),
    (V1_14, "resource_provider_show_1_14"),
];
const PROVIDER_LIST: Shapes = &[
    (V1_0, "resource_provider_list_1_0"),
    (V1_1, "resource_provider_list_1_1"),
    (V1_6, "resource_provider_list_1_6"),
    (V1_11, "resource_provider_list_1_11"),
    (V1_14, "resource_provider_list_1_14"),
];
const CLASS_SHAPES: Shapes = &[(V1_2, "resource_class_show_1_2")];
const INVENTORY_SHAPES: Shapes = &[(V1_0, "inventory_show_1_0")];
const INVENTORY_LIST: Shapes = &[(V1_0, "inventory_list_1_0")];
const AGGREGATE_SHAPES: Shapes = &[(V1_1, "aggregates_1_1"), (V1_19, "aggregates_1_19")];
const PROVIDER_TRAIT_SHAPES: Shapes = &[(V1_6, "provider_traits_1_6")];
const CONSUMER_SHAPES: Shapes = &[
    (V1_0, "consumer_allocations_1_0"),
    (V1_12, "consumer_allocations_1_12"),
    (V1_28, "consumer_allocations_1_28"),
    (V1_38, "consumer_allocations_1_38"),
];
const CANDIDATE_SHAPES: Shapes = &[
    (V1_10, "allocation_candidates_1_10"),
    (V1_12, "allocation_candidates_1_12"),
    (V1_17, "allocation_candidates_1_17"),
    (V1_29, "allocation_candidates_1_29"),
    (V1_34, "allocation_candidates_1_34"),
];

const TICKET_SHAPES: Shapes = &[(V1_0, "waitlist_ticket_1_0")];
const CNAPI_SHAPES: Shapes = &[(V1_0, "cnapi_ticket_1_0")];
const CNAPI_LIST: Shapes = &[(V1_0, "cnapi_ticket_list_1_0")];
const CNAPI_CREATED: Shapes = &[(V1_0, "cnapi_created_1_0")];
const DRAFT_SHAPES: Shapes = &[(V1_0, "cnapi_draft_ticket_1_0")];
const DRAFT_LIST: Shapes = &[(V1_0, "cnapi_draft_ticket_list_1_0")];
const DRAFT_CREATED: Shapes = &[(V1_0, "cnapi_draft_created_1_0")];
const TICKET_LIST: Shapes = &[(V1_0, "waitlist_list_1_0")];
const GROUP_SHAPES: Shapes = &[(V1_0, "waitlist_group_1_0")];

/// The errors of a status have these shapes; a code came with 1.23.
pub(crate) const ERROR_SHAPES: Shapes = &[(V1_0, "error_1_0"), (V1_23, "error_1_23")];

/// Every route, documented: the same as in `routes::ROUTES`, in the order of the reference.
pub(crate) static OPERATIONS: &[Operation] = &[
    operation(Method::GET, "/", DOCUMENTS, "Show which versions there are").answers(&[json(
        200,
        SHOWN,
        &[(V1_0, "version_1_0")],
    )]),
    operation(Method::GET, "/openapi.json", DOCUMENTS, "Show this document")
        .query(Versions::only(V1_0, &schema::OPENAPI_QUERY))
        .answers(&[json(200, SHOWN, &[(V1_0, "openapi_1_0")]).dated(None)]),
    operation(Method::GET, "/docs", DOCUMENTS, "Show a page that leads to the documents")
        .answers(&[html(200, SHOWN)]),
    operation(Method::GET, "/resource_providers", PROVIDERS, "List resource providers")
        .query(schema::RESOURCE_PROVIDERS_QUERY)
        .answers(&[json(200, "All that fulfil every filter.", PROVIDER_LIST)]),
    operation(Method::POST, "/resource_providers", PROVIDERS, "Create a resource provider")
        .body(schema::RESOURCE_PROVIDER_POST)
        .answers(&[
            empty(201, "It was created.").until(V1_20).located(),
            json(200, "It was created.", PROVIDER_SHAPES).since(V1_20).located(),
        ])
        .codes(&[(409, &[Code::DuplicateName])]),
    operation(Method::GET, PROVIDER, PROVIDERS, "Show a resource provider").answers(&[json(
        200,
        SHOWN,
        PROVIDER_SHAPES,
    )]),
    operation(Method::PUT, PROVIDER, PROVIDERS, "Rename or move a resource provider")
        .body(schema::RESOURCE_PROVIDER_PUT)
        .answers(&[json(200, "As it is now.", PROVIDER_SHAPES)])
        .codes(&[(409, &[Code::DuplicateName])]),
    operation(Method::DELETE, PROVIDER, PROVIDERS, "Delete a resource provider")
        .answers(&[empty(204, GONE)])
        .codes(&[(409, &[Code::ProviderInUse, Code::CannotDeleteParent])]),
    operation(Method::GET, "/resource_classes", CLASSES, "List resource classes").answers(&[json(
        200,
        SHOWN,
        &[(V1_2, "resource_class_list_1_2")],
    )]),
    operation(Method::POST, "/resource_classes", CLASSES, "Create a resource class")
        .body(Versions::only(V1_2, &schema::RESOURCE_CLASS))
        .answers(&[empty(201, "It was created.").located()])
        .codes(&[(409, &[Code::Undefined])]),
    operation(Method::GET, RESOURCE_CLASS, CLASSES, "Show a resource class").answers(&[json(
        200,
        SHOWN,
        CLASS_SHAPES,
    )]),
    operation(
        Method::PUT,
        RESOURCE_CLASS,
        CLASSES,
        "Rename a resource class (before 1.7), or make sure that it exists",
    )
    .name(&schema::RESOURCE_CLASS)
    .body(Versions::only(V1_2, &schema::RESOURCE_CLASS))
    .answers(&[
        json(200, "It was renamed.", CLASS_SHAPES).until(V1_7).dated(None),
        empty(201, "It was created.").since(V1_7).located(),
        empty(204, "It was there already.").since(V1_7).located(),
    ])
    .codes(&[(409, &[Code::Undefined])]),
    operation(Method::DELETE, RESOURCE_CLASS, CLASSES, "Delete a resource class")
        .answers(&[empty(204, GONE)])
        .codes(&[(409, &[Code::Undefined])]),
    operation(Method::GET, INVENTORIES, PROVIDER_INVENTORIES, "List the inventories of a resource provider")
        .answers(&[json(200, SHOWN, INVENTORY_LIST).undated_if_empty()]),
    operation(Method::POST, INVENTORIES, PROVIDER_INVENTORIES, "Create an inventory")
        .body(Versions::only(V1_0, &schema::INVENTORY_POST))
        .answers(&[json(201, "It was created.", INVENTORY_SHAPES).located()]),
    operation(
        Method::PUT,
        INVENTORIES,
        PROVIDER_INVENTORIES,
        "Replace all inventories of a resource provider",
    )
    .body(Versions::only(V1_0, &schema::INVENTORIES_PUT))
    .answers(&[json(200, "As they are now.", INVENTORY_LIST).undated_if_empty()])
    .codes(&[(409, &[Code::InventoryInUse])]),
    operation(
        Method::DELETE,
        INVENTORIES,
        PROVIDER_INVENTORIES,
        "Delete all inventories of a resource provider",
    )
    .answers(&[empty(204, "They are gone.")])
    .codes(&[(409, &[Code::InventoryInUse])]),
    operation(Method::GET, INVENTORY, PROVIDER_INVENTORIES, "Show an inventory").answers(&[json(
        200,
        SHOWN,
        INVENTORY_SHAPES,
    )]),
    operation(Method::PUT, INVENTORY, PROVIDER_INVENTORIES, "Change an inventory")
        .body(Versions::only(V1_0, &schema::INVENTORY_PUT))
        .answers(&[json(200, "As it is now.", INVENTORY_SHAPES)]),
    operation(Method::DELETE, INVENTORY, PROVIDER_INVENTORIES, "Delete an inventory")
        .answers(&[empty(204, GONE)]),
    operation(
        Method::GET,
        "/resource_providers/{uuid}/usages",
        PROVIDER_USAGES,
        "Show how much of a resource provider is used",
    )
    .answers(&[json(200, SHOWN, &[(V1_0, "provider_usages_1_0")])]),
    operation(Method::GET, AGGREGATES, PROVIDER_AGGREGATES, "List the aggregates of a resource provider")
        .answers(&[json(200, SHOWN, AGGREGATE_SHAPES)]),
    operation(Method::PUT, AGGREGATES, PROVIDER_AGGREGATES, "Replace the aggregates of a resource provider")
        .body(schema::AGGREGATES_PUT)
        .answers(&[json(200, "As they are now.", AGGREGATE_SHAPES)]),
    operation(
        Method::GET,
        "/resource_providers/{uuid}/allocations",
        PROVIDER_ALLOCATIONS,
        "List the allocations of a resource provider",
    )
    .answers(&[json(
        200,
        SHOWN,
        &[(V1_0, "provider_allocations_1_0"), (V1_28, "provider_allocations_1_28")],
    )]),
    operation(Method::GET, PROVIDER_TRAITS, TRAITS_OF_PROVIDER, "List the traits of a resource provider")
        .answers(&[json(200, SHOWN, PROVIDER_TRAIT_SHAPES)]),
    operation(Method::PUT, PROVIDER_TRAITS, TRAITS_OF_PROVIDER, "Replace the traits of a resource provider")
        .body(Versions::only(V1_6, &schema::TRAITS_PUT))
        .answers(&[json(200, "As they are now.", PROVIDER_TRAIT_SHAPES)]),
    operation(
        Method::DELETE,
        PROVIDER_TRAITS,
        TRAITS_OF_PROVIDER,
        "Remove all traits from a resource provider",
    )
    .answers(&[empty(204, "It has none any more.")]),
    operation(Method::GET, "/traits", TRAITS, "List traits")
        .query(Versions::only(V1_6, &schema::TRAITS_QUERY))
        .answers(&[json(200, "All that fulfil every filter.", &[(V1_6, "trait_list_1_6")])]),
    operation(Method::GET, TRAIT, TRAITS, "Ask whether there is a trait")
        .answers(&[empty(204, "There is.").dated(Some(V1_15))]),
    operation(Method::PUT, TRAIT, TRAITS, "Make sure that there is a trait")
        // Traits that clients make are named by the same rules.
        .name(&schema::RESOURCE_CLASS)
        .answers(&[
            empty(201, "It was created.").located().dated(Some(V1_15)),
            empty(204, "It was there already.").located().dated(Some(V1_15)),
        ]),
    operation(Method::DELETE, TRAIT, TRAITS, "Delete a trait")
        .answers(&[empty(204, GONE)])
        .codes(&[(409, &[Code::Undefined])]),
    operation(Method::POST, "/allocations", ALLOCATIONS, "Replace the allocations of several consumers")
        .body(schema::ALLOCATIONS_POST)
        .answers(&[empty(204, "All of the allocations are replaced.")])
        .codes(&[(409, &[Code::Undefined])]),
    operation(Method::GET, CONSUMER, ALLOCATIONS, "List the allocations of a consumer").answers(&[json(
        200,
        "Its allocations; none, if there is no such consumer.",
        CONSUMER_SHAPES,
    )]),
    operation(Method::PUT, CONSUMER, ALLOCATIONS, "Replace the allocations of a consumer")
        .body(schema::ALLOCATIONS_PUT)
        .answers(&[empty(204, "Its allocations are replaced.")])
        .codes(&[(409, &[Code::Undefined])]),
    operation(Method::DELETE, CONSUMER, ALLOCATIONS, "Delete the allocations of a consumer")
        .answers(&[empty(204, "It holds nothing any more.")]),
    operation(Method::GET, "/allocation_candidates", CANDIDATES, "Find where a workload fits")
        .query(schema::CANDIDATES_QUERY)
        .answers(&[json(200, "Every way in which it fits, up to the limit.", CANDIDATE_SHAPES)])
        .codes(&[(400, &[Code::DuplicateQueryKey, Code::BadQueryValue, Code::MissingQueryValue])]),
    operation(Method::GET, "/usages", USAGES, "Show how much a project uses")
        .query(schema::USAGES_QUERY)
        .answers(&[json(200, SHOWN, &[(V1_9, "usages_1_9"), (V1_38, "usages_1_38")])]),
    operation(Method::POST, "/reshaper", RESHAPER, "Replace inventories and allocations together")
        .body(schema::RESHAPER_POST)
        .answers(&[empty(204, "All of it was done.")])
        .codes(&[(400, &[Code::ProviderNotFound]), (409, &[Code::Undefined, Code::InventoryInUse])]),
    operation(Method::GET, PROVIDER_WAITLIST, TURNS, "List the tickets of a resource provider")
        .query(Versions::only(V1_0, &schema::WAITLIST_QUERY))
        .answers(&[json(200, "All tickets that fulfil every filter, by queue, and their queues.", TICKET_LIST)])
        .codes(&[(400, &[Code::TicketNotFound])]),
    operation(Method::POST, PROVIDER_WAITLIST, TURNS, "Take a ticket")
        .body(Versions::only(V1_0, &schema::WAITLIST_POST))
        .answers(&[
            json(201, "It was taken: it is active already if nobody was before it.", TICKET_SHAPES).located()
        ])
        .codes(&[(409, &[Code::Undefined])]),
    operation(Method::GET, TICKET, TURNS, "Show a ticket, or wait until it is no longer queued")
        .query(Versions::only(V1_0, &schema::WAITLIST_TICKET_QUERY))
        .answers(&[json(200, SHOWN, TICKET_SHAPES)])
        .codes(&[(404, &[Code::TicketNotFound])]),
    operation(Method::PUT, TICKET, TURNS, "Renew a ticket")
        .body(Versions::only(V1_0, &schema::WAITLIST_PUT))
        .answers(&[json(200, "As it is now.", TICKET_SHAPES)])
        .codes(&[(404, &[Code::TicketNotFound]), (409, &[Code::TicketEnded])]),
    operation(Method::DELETE, TICKET, TURNS, "Release a ticket, or give it up while it waits")
        .query(Versions::only(V1_0, &schema::WAITLIST_DELETE_QUERY))
        .answers(&[empty(204, "It has ended, now or before; the next one is active.")])
        .codes(&[(404, &[Code::TicketNotFound])]),
    operation(Method::GET, WAITLIST, TURNS, "List tickets")
        .query(Versions::only(V1_0, &schema::WAITLIST_QUERY))
        .answers(&[json(200, "All tickets that fulfil every filter, by queue, and their queues.", TICKET_LIST)])
        .codes(&[(400, &[Code::TicketNotFound])]),
    operation(Method::POST, WAITLIST, TURNS, "Take several tickets, or none")
        .body(Versions::only(V1_0, &schema::WAITLIST_GROUP_POST))
        .answers(&[json(201, "All were taken.", GROUP_SHAPES).located()])
        .codes(&[(400, &[Code::ProviderNotFound]), (409, &[Code::Undefined])]),
    operation(Method::GET, GROUP, TURNS, "Show several tickets, or wait until all are active")
        .query(Versions::only(V1_0, &schema::WAITLIST_TICKET_QUERY))
        .answers(&[json(200, SHOWN, GROUP_SHAPES)])
        .codes(&[(404, &[Code::TicketNotFound])]),
    operation(Method::PUT, GROUP, TURNS, "Renew several tickets")
        .body(Versions::only(V1_0, &schema::WAITLIST_PUT))
        .answers(&[json(200, "As they are now.", GROUP_SHAPES)])
        .codes(&[(404, &[Code::TicketNotFound]), (409, &[Code::TicketEnded])]),
    operation(Method::DELETE, GROUP, TURNS, "Release several tickets")
        .query(Versions::only(V1_0, &schema::WAITLIST_DELETE_QUERY))
        .answers(&[empty(204, "All have ended, now or before.")])
        .codes(&[(404, &[Code::TicketNotFound])]),
    operation(Method::GET, SERVER_TICKETS, CNAPI, "List the tickets of a server")
        .query(Versions::only(V1_0, &schema::CNAPI_TICKETS_QUERY))
        .answers(&[plain(200, "As they were created, also those that have ended.", CNAPI_LIST)])
        .words(&[(409, "A parameter makes no sense, or there is no such one.")]),
    operation(Method::POST, SERVER_TICKETS, CNAPI, "Take a ticket of a server")
        .body(Versions::only(V1_0, &schema::CNAPI_TICKET_POST))
        .answers(&[plain(
            202,
            "It was taken: its queue has it, active if nobody was before it.",
            CNAPI_CREATED,
        )])
        .words(&[(409, "The request makes no sense, or the queue is full.")]),
    operation(Method::DELETE, SERVER_TICKETS, CNAPI, "Delete all tickets of a server")
        .query(Versions::only(V1_0, &schema::CNAPI_FORCE_QUERY))
        .answers(&[empty(204, "There are none any more.")])
        .words(&[(409, "The name of the server is no uuid."), (412, "It is not forced.")]),
    operation(Method::GET, CNAPI_TICKET, CNAPI, "Show a ticket of a server")
        .answers(&[plain(200, SHOWN, CNAPI_SHAPES)])
        .words(NO_UUID),
    operation(Method::DELETE, CNAPI_TICKET, CNAPI, "Delete a ticket of a server")
        .answers(&[empty(204, "It is gone; the next one is active.")])
        .words(NO_UUID),
    operation(Method::GET, CNAPI_WAIT, CNAPI, "Wait until a ticket is active")
        .answers(&[empty(204, "It is active.")])
        .words(&[
            (409, "It is finished, or its name is no uuid."),
            (500, "It has expired, as the message says."),
            (503, "It is still queued, and may be waited for again; or the database or Keystone is out of reach."),
        ]),
    operation(
        Method::PUT,
        CNAPI_RELEASE,
        CNAPI,
        "Release a ticket of a server, or give it up while it waits",
    )
    .answers(&[empty(204, "It has ended, now or before; the next one is active.")])
    .words(NO_UUID),
    operation(Method::GET, DRAFT, CNAPI_DRAFT, "List the live tickets of a server")
        .query(Versions::only(V1_0, &schema::CNAPI_DRAFT_QUERY))
        .answers(&[plain(200, "As they were created.", DRAFT_LIST)])
        .words(NO_SERVER),
    operation(Method::POST, DRAFT, CNAPI_DRAFT, "Take a ticket of a server")
        .body(Versions::only(V1_0, &schema::CNAPI_DRAFT_POST))
        .answers(&[plain(200, "It was taken.", DRAFT_CREATED)])
        .words(&[(409, "The name of the server is no uuid, or the queue is full.")]),
    operation(
        Method::GET,
        DRAFT_TICKET,
        CNAPI_DRAFT,
        "Show a ticket of a server, or wait until it is active",
    )
    .query(Versions::only(V1_0, &schema::CNAPI_DRAFT_TICKET_QUERY))
    .answers(&[plain(200, SHOWN, DRAFT_SHAPES)])
    .words(NO_SERVER),
    operation(Method::DELETE, DRAFT_TICKET, CNAPI_DRAFT, "Delete a ticket of a server")
        .answers(&[empty(202, "It is gone; the next one is active.")])
        .words(NO_SERVER),
];

const NO_UUID: &[(u16, &str)] = &[(409, "The name of the ticket is no uuid.")];
const NO_SERVER: &[(u16, &str)] = &[(409, "The name of the server is no uuid.")];

/// JSON without the time of what it shows.
const fn plain(status: u16, text: &'static str, shapes: Shapes) -> Answer {
    let mut answer = empty(status, text);
    answer.content = Content::Json(shapes);
    answer
}

const fn html(status: u16, text: &'static str) -> Answer {
    let mut answer = empty(status, text);
    answer.content = Content::Html;
    answer
}
