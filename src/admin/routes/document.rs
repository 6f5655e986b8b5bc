//! The OpenAPI document: what each route says of itself, and the schemas of what they answer with.

use aide::axum::routing::get_with;
use aide::openapi::{OpenApi, SecurityScheme};
use aide::transform::TransformOpenApi;
use axum::Extension;
use axum::body::Bytes;
use schemars::JsonSchema as _;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::history::Wanted;
use super::{Group, TOKEN, guarded};
use crate::admin::answer::{Plain, SCHEMAS, described};
use crate::admin::recent::RecentTraffic;
use crate::control::{AppStatus, Drafts, History, PinnedVersion, Rehearsed, Status};
use crate::problem::Problem;

const JSON: &str = "application/json";

/// The document as text. A cheap handle.
#[derive(Clone)]
pub(super) struct Document(Bytes);

impl Document {
    pub(super) fn new(description: &OpenApi) -> Self {
        // What it is made of are texts and maps of them.
        let mut document = serde_json::to_value(description).unwrap_or_default();
        document["components"]["schemas"] = schemas();
        Self(document.to_string().into())
    }
}

/// Of everything that routes answer with.
fn schemas() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let mut generator = settings
        .with(|settings| settings.definitions_path = SCHEMAS.into())
        .into_generator();
    generator.subschema_for::<Status>();
    generator.subschema_for::<AppStatus>();
    generator.subschema_for::<Problem<'static>>();
    generator.subschema_for::<RecentTraffic>();
    generator.subschema_for::<History>();
    generator.subschema_for::<PinnedVersion>();
    generator.subschema_for::<Wanted>();
    // Maps are no definitions of their own for the generator, and routes name them all the same.
    let maps = [
        (Drafts::schema_name(), generator.subschema_for::<Drafts>()),
        (Rehearsed::schema_name(), generator.subschema_for::<Rehearsed>()),
    ];
    let mut schemas = generator.take_definitions(true);
    schemas.extend(maps.map(|(name, schema)| (name.into_owned(), schema.to_value())));
    Value::Object(schemas)
}

/// What the document says of all routes.
pub(super) fn describe(api: TransformOpenApi<'_>) -> TransformOpenApi<'_> {
    let token = SecurityScheme::Http {
        scheme: "bearer".into(),
        bearer_format: None,
        description: Some("A line of the file of --admin-token-file; the Unix socket asks for none.".into()),
        extensions: Default::default(),
    };
    api.title("lepton")
        .version(env!("CARGO_PKG_VERSION"))
        .description("What a daemon of lepton does, and the few commands an operator needs.")
        .security_scheme(TOKEN, token)
}

pub(super) fn routes() -> Group {
    Group::new().api_route(
        "/openapi.json",
        get_with(document, |operation| {
            guarded(operation.id("openapi").summary("This document")).response_with::<200, Plain, _>(
                |mut response| {
                    *response.inner() = described(JSON, json!({"type": "object"}));
                    response.description("An OpenAPI 3.1 document.")
                },
            )
        }),
    )
}

async fn document(Extension(document): Extension<Document>) -> Plain {
    Plain::text(JSON, document.0)
}
