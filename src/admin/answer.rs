//! What routes answer, and how that is described.
//!
//! Schemas come from the types that are answered with. They are named in the description of a route, and stand in the
//! document once: see `routes/document.rs`.

use std::borrow::Cow;

use aide::generate::GenContext;
use aide::openapi::{MediaType, Operation, Parameter, ReferenceOr, Response as Described, SchemaObject};
use aide::{OperationInput, OperationOutput};
use axum::Json;
use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};

use crate::problem::{PROBLEM_JSON, Problem};

/// Where a schema is found in the document, before its name.
pub(super) const SCHEMAS: &str = "/components/schemas";

/// A value, as JSON.
pub(super) struct Answer<T>(pub(super) T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

impl<T: JsonSchema> OperationOutput for Answer<T> {
    type Inner = T;

    fn operation_response(_: &mut GenContext, _: &mut Operation) -> Option<Described> {
        Some(described("application/json", reference::<T>()))
    }
}

/// A problem document.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    detail: Cow<'static, str>,
    path: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, detail: impl Into<Cow<'static, str>>, asked: &Uri) -> Self {
        Self {
            status,
            detail: detail.into(),
            path: asked.path().to_owned(),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let problem = Problem::new(self.status, &self.detail, &self.path).to_json();
        (self.status, [(header::CONTENT_TYPE, PROBLEM_JSON)], problem).into_response()
    }
}

impl OperationOutput for Refused {
    type Inner = Problem<'static>;

    fn operation_response(_: &mut GenContext, _: &mut Operation) -> Option<Described> {
        Some(described(PROBLEM_JSON, reference::<Problem<'static>>()))
    }
}

/// A text of some media type, or nothing: what it is stands in the description of its route.
pub(super) struct Plain(pub(super) Response);

impl Plain {
    pub(super) fn nothing(status: StatusCode) -> Self {
        Self(status.into_response())
    }

    pub(super) fn text(media_type: &'static str, text: impl Into<axum::body::Body>) -> Self {
        Self(([(header::CONTENT_TYPE, media_type)], text.into()).into_response())
    }
}

impl IntoResponse for Plain {
    fn into_response(self) -> Response {
        self.0
    }
}

impl OperationOutput for Plain {
    type Inner = ();

    fn operation_response(_: &mut GenContext, _: &mut Operation) -> Option<Described> {
        Some(Described::default())
    }
}

/// The app that a path names.
pub(super) struct AppPath(pub(super) String);

impl<S: Send + Sync> FromRequestParts<S> for AppPath {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refused> {
        let path = Path::from_request_parts(parts, state).await;
        let Path(id) = path.map_err(|_| {
            let detail = "the app's name is not UTF-8 text";
            Refused::new(StatusCode::BAD_REQUEST, detail, &parts.uri)
        })?;
        Ok(Self(id))
    }
}

impl OperationInput for AppPath {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        let parameter = json!({
            "in": "path",
            "name": "id",
            "required": true,
            "description": "The app: the name of its file without `.json`.",
            "schema": {"type": "string"},
        });
        let parameter: Option<Parameter> = serde_json::from_value(parameter).ok();
        operation.parameters.extend(parameter.map(ReferenceOr::Item));
    }
}

/// A response with content of one media type, which aide has no type of.
pub(super) fn described(media_type: &str, schema: Value) -> Described {
    // The schemas of aide are those of another version of schemars, which have the same form in JSON.
    let schema: Option<SchemaObject> = serde_json::from_value(schema).ok();
    let content = MediaType {
        schema,
        ..MediaType::default()
    };
    Described {
        content: [(media_type.to_owned(), content)].into_iter().collect(),
        ..Described::default()
    }
}

pub(super) fn reference<T: JsonSchema>() -> Value {
    json!({"$ref": format!("#{SCHEMAS}/{}", T::schema_name())})
}
