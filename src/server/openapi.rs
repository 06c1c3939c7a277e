//! The description of the API, made from the types that requests are read into and answers are written from.

use super::{app::App, error::ErrorAnswer};
use axum::{
    handler::Handler,
    http::Method,
    routing::{MethodRouter, get, post},
};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A path: what answers it, and what the description says of it.
pub(super) struct Route {
    /// As the router has it.
    pub(super) path: &'static str,
    pub(super) handler: MethodRouter<Arc<App>>,
    method: Method,
    summary: &'static str,
    body: Option<SchemaOf>,
    answers: Vec<Answer>,
}

/// Gives the schema of a type, where that of its parts is known once and for all.
type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// An answer of a path.
struct Answer {
    status: u16,
    media_type: &'static str,
    /// `None` for text.
    schema: Option<SchemaOf>,
}

/// What may go wrong everywhere, before a request is so much as read.
const ERRORS: [(u16, &str); 1] = [(403, "From a host or page that is not allowed")];
/// And on paths that work for somebody.
const KEYED_ERRORS: [(u16, &str); 3] =
    [(401, "No key that is known"), (429, "No place, or too many requests"), (503, "About to end")];
/// And where there is a body.
const BODY_ERRORS: [(u16, &str); 4] = [
    (400, "A field is wrong"),
    (404, "No such model"),
    (408, "The body took too long"),
    (413, "The body is too large"),
];

impl Route {
    /// A path that `handler` answers to GET.
    pub(super) fn get<T: 'static>(
        path: &'static str,
        handler: impl Handler<T, Arc<App>>,
        summary: &'static str,
    ) -> Route {
        Route { path, handler: get(handler), method: Method::GET, summary, body: None, answers: Vec::new() }
    }

    /// A path that `handler` answers to POST.
    pub(super) fn post<T: 'static>(
        path: &'static str,
        handler: impl Handler<T, Arc<App>>,
        summary: &'static str,
    ) -> Route {
        Route { path, handler: post(handler), method: Method::POST, summary, body: None, answers: Vec::new() }
    }

    /// The same, with a body of JSON.
    pub(super) fn takes<T: JsonSchema>(self) -> Route {
        Route { body: Some(SchemaGenerator::subschema_for::<T>), ..self }
    }

    /// The same, answering with JSON.
    pub(super) fn gives<T: JsonSchema>(self) -> Route {
        self.gives_with::<T>(200)
    }

    /// The same, answering with JSON and a status.
    pub(super) fn gives_with<T: JsonSchema>(mut self, status: u16) -> Route {
        let schema: SchemaOf = SchemaGenerator::subschema_for::<T>;
        self.answers.push(Answer { status, media_type: "application/json", schema: Some(schema) });
        self
    }

    /// The same, answering with text.
    pub(super) fn gives_text(mut self, media_type: &'static str) -> Route {
        self.answers.push(Answer { status: 200, media_type, schema: None });
        self
    }

    /// The path as descriptions write it.
    fn template(&self) -> String {
        self.path.replace("{*", "{")
    }

    fn describe(&self, is_open: bool, generator: &mut SchemaGenerator) -> Value {
        let mut responses = Map::new();
        for Answer { status, media_type, schema } in &self.answers {
            let schema = schema.map_or_else(|| json!({}), |schema| json!({ "schema": schema(generator) }));
            let response =
                responses.entry(status.to_string()).or_insert_with(|| json!({ "description": "The answer" }));
            response["content"][*media_type] = schema;
        }
        let mut errors = ERRORS.to_vec();
        errors.extend(if is_open { &[][..] } else { &KEYED_ERRORS });
        errors.extend(if self.body.is_some() || self.path.contains('{') { &BODY_ERRORS[..] } else { &[] });
        let error = generator.subschema_for::<ErrorAnswer>();
        for (status, description) in errors {
            let content = json!({ "application/json": { "schema": error } });
            let response = json!({ "description": description, "content": content });
            responses.entry(status.to_string()).or_insert(response);
        }
        let mut operation = json!({ "summary": self.summary, "responses": responses });
        if !is_open {
            operation["security"] = json!([{}, { "key": [] }]);
        }
        if let Some(body) = self.body {
            let content = json!({ "application/json": { "schema": body(generator) } });
            operation["requestBody"] = json!({ "required": true, "content": content });
        }
        if self.path.contains("{*name}") {
            let schema = json!({ "type": "string", "minLength": 1 });
            operation["parameters"] = json!([{ "name": "name", "in": "path", "required": true, "schema": schema }]);
        }
        operation
    }
}

/// The description of `routes`, of which those for that `is_open` holds need no key.
pub(super) fn describe(routes: &[Route], is_open: impl Fn(&str) -> bool) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|s| s.definitions_path = "/components/schemas".into());
    let mut generator = settings.into_generator();
    let mut paths = Map::new();
    for route in routes {
        let operation = route.describe(is_open(route.path), &mut generator);
        let methods = paths.entry(route.template()).or_insert_with(|| json!({}));
        methods[route.method.as_str().to_lowercase()] = operation;
    }
    let key = json!({ "type": "http", "scheme": "bearer" });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "taper",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A local endpoint that speaks OpenAI's API. Unknown fields are ignored.",
        },
        "paths": paths,
        "components": { "securitySchemes": { "key": key }, "schemas": generator.take_definitions(true) },
    })
}
