//! What requests say beside their path, and how that is described; what can't be understood is refused with the reason.

use aide::OperationInput;
use aide::generate::GenContext;
use aide::openapi::{Operation, Parameter, ReferenceOr, RequestBody};
use aide::transform::TransformOperation;
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::{Refused, reference};

/// A body of JSON.
pub(super) struct Told<T>(pub(super) T);

/// The same, or none.
pub(super) struct MaybeTold<T>(pub(super) Option<T>);

/// A query.
pub(super) struct Wanted<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Told<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        let asked = request.uri().clone();
        match Json::from_request(request, state).await {
            Ok(Json(told)) => Ok(Self(told)),
            Err(rejection) => Err(Refused::new(rejection.status(), rejection.body_text(), &asked)),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for MaybeTold<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        if !request.headers().contains_key(header::CONTENT_TYPE) {
            return Ok(Self(None));
        }
        let Told(told) = Told::from_request(request, state).await?;
        Ok(Self(Some(told)))
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Wanted<T> {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refused> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(wanted)) => Ok(Self(wanted)),
            Err(rejection) => Err(Refused::new(
                StatusCode::BAD_REQUEST,
                rejection.body_text(),
                &parts.uri,
            )),
        }
    }
}

impl<T: JsonSchema> OperationInput for Told<T> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        operation.request_body = body::<T>(true);
    }
}

impl<T: JsonSchema> OperationInput for MaybeTold<T> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        operation.request_body = body::<T>(false);
    }
}

impl<T: JsonSchema> OperationInput for Wanted<T> {
    fn operation_input(_: &mut GenContext, operation: &mut Operation) {
        let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
        let schema = settings.into_generator().into_root_schema_for::<T>().to_value();
        let properties = schema["properties"].as_object().into_iter().flatten();
        let parameters = properties.map(|(name, schema)| {
            let schema = without_null(schema.clone());
            json!({"in": "query", "name": name, "description": schema["description"], "schema": schema})
        });
        let parameters =
            parameters.filter_map(|parameter| serde_json::from_value::<Parameter>(parameter).ok());
        operation.parameters.extend(parameters.map(ReferenceOr::Item));
    }
}

/// What holds for each route that is told something in a body.
pub(super) fn bodied(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .response_with::<413, Refused, _>(|response| response.description("The body is too large."))
        .response_with::<415, Refused, _>(|response| {
            response.description("The body is not said to be `application/json`.")
        })
        .response_with::<422, Refused, _>(|response| {
            response.description("The body does not say what it has to, or something that is not there.")
        })
        .response_with::<400, Refused, _>(|response| response.description("The request is not understood."))
}

/// A query can't say `null`: what is optional is left out.
fn without_null(mut schema: Value) -> Value {
    if let Some(types) = schema["type"].as_array_mut() {
        types.retain(|kind| kind != "null");
    }
    if let Some(values) = schema.get_mut("enum").and_then(Value::as_array_mut) {
        values.retain(|value| !value.is_null());
    }
    schema
}

fn body<T: JsonSchema>(required: bool) -> Option<ReferenceOr<RequestBody>> {
    let body: Value =
        json!({"required": required, "content": {"application/json": {"schema": reference::<T>()}}});
    let body: Option<RequestBody> = serde_json::from_value(body).ok();
    body.map(ReferenceOr::Item)
}
