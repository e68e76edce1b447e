//! `/docs`: the API's description for people to read, made from `/openapi.json` itself. It works offline and without scripts.

mod shape;

use std::{collections::BTreeMap, sync::LazyLock};

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::{
    pages::{Filled, Page},
    problem::{Problem, TYPE_BASE, TYPES},
};
use shape::{Shape, fields_of, shape_of};

/// The operations of a path item, in the order in which they are shown.
const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "head"];

#[derive(Serialize)]
struct Reference {
    title: String,
    version: String,
    about: Vec<Paragraph>,
    groups: Vec<Group>,
    schemas: Vec<Schema>,
    type_base: &'static str,
    problems: Vec<ProblemRow>,
}

/// Operations under one tag.
#[derive(Serialize)]
struct Group {
    name: String,
    operations: Vec<Operation>,
}

#[derive(Serialize)]
struct Operation {
    anchor: String,
    method: String,
    path: String,
    summary: Paragraph,
    about: Vec<Paragraph>,
    signed_in: bool,
    parameters: Vec<Row>,
    body: Vec<Content>,
    responses: Vec<Answer>,
}

/// A parameter, or a field of a schema.
#[derive(Serialize)]
struct Row {
    name: String,
    /// Where a parameter stands.
    place: String,
    required: bool,
    shape: Shape,
    about: Vec<Paragraph>,
}

#[derive(Serialize)]
struct Content {
    media: String,
    shape: Shape,
}

#[derive(Serialize)]
struct Answer {
    status: String,
    about: Vec<Paragraph>,
    contents: Vec<Content>,
}

#[derive(Serialize)]
struct Schema {
    name: String,
    about: Vec<Paragraph>,
    shape: Shape,
    fields: Vec<Row>,
}

#[derive(Serialize)]
struct ProblemRow {
    slug: &'static str,
    statuses: &'static [u16],
    meaning: Paragraph,
}

type Paragraph = Vec<Piece>;

/// A piece of a sentence.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Piece {
    text: String,
    /// Between backticks.
    code: bool,
}

/// Shows the page. It is made when somebody first asks for it.
pub(super) async fn show() -> Response {
    static PAGE: LazyLock<Result<Filled, Problem>> = LazyLock::new(|| page(&json!(super::description())));

    PAGE.clone().into_response()
}

/// The page for a description.
fn page(description: &Value) -> Result<Filled, Problem> {
    Page::Reference.fill(reference(description), "")
}

fn reference(description: &Value) -> Reference {
    let info = &description["info"];
    let schemas = description["components"]["schemas"].as_object();
    Reference {
        title: text(&info["title"]),
        version: text(&info["version"]),
        about: prose(&text(&info["description"])),
        groups: groups(description),
        schemas: schemas.into_iter().flatten().map(|(name, schema)| schema_of(name, schema)).collect(),
        type_base: TYPE_BASE,
        problems: TYPES
            .iter()
            .map(|of| ProblemRow { slug: of.slug, statuses: of.statuses, meaning: pieces(of.meaning) })
            .collect(),
    }
}

fn groups(description: &Value) -> Vec<Group> {
    let mut groups: BTreeMap<String, Vec<Operation>> = BTreeMap::new();
    for (path, item) in description["paths"].as_object().into_iter().flatten() {
        for method in METHODS {
            let Some(operation) = item.get(method).and_then(Value::as_object) else { continue };
            let tag = operation.get("tags").map_or_else(String::new, |tags| text(&tags[0]));
            let tag = if tag.is_empty() { "other".to_owned() } else { tag };
            groups.entry(tag).or_default().push(operation_of(method, path, operation));
        }
    }
    groups.into_iter().map(|(name, operations)| Group { name, operations }).collect()
}

fn operation_of(method: &str, path: &str, operation: &Map<String, Value>) -> Operation {
    let part = |name: &str| operation.get(name).unwrap_or(&Value::Null);
    let responses = part("responses").as_object();
    Operation {
        anchor: format!("{method}{}", path.replace(['/', '{', '}'], "-")),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: pieces(&text(part("summary"))),
        about: prose(&text(part("description"))),
        signed_in: part("security").as_array().is_some_and(|needed| !needed.is_empty()),
        parameters: part("parameters").as_array().into_iter().flatten().map(parameter).collect(),
        body: contents(&part("requestBody")["content"]),
        responses: responses
            .into_iter()
            .flatten()
            .map(|(status, answer)| Answer {
                status: status.clone(),
                about: prose(&text(&answer["description"])),
                contents: contents(&answer["content"]),
            })
            .collect(),
    }
}

fn parameter(parameter: &Value) -> Row {
    Row {
        name: text(&parameter["name"]),
        place: text(&parameter["in"]),
        required: parameter["required"].as_bool().unwrap_or_default(),
        shape: shape_of(&parameter["schema"]),
        about: prose(&text(&parameter["description"])),
    }
}

fn contents(content: &Value) -> Vec<Content> {
    let kinds = content.as_object().into_iter().flatten();
    kinds.map(|(media, of)| Content { media: media.clone(), shape: shape_of(&of["schema"]) }).collect()
}

fn schema_of(name: &str, schema: &Value) -> Schema {
    let fields = fields_of(schema).into_iter().map(|(name, field, required)| Row {
        name,
        place: String::new(),
        required,
        shape: shape_of(field),
        about: prose(&text(&field["description"])),
    });
    Schema {
        name: name.to_owned(),
        about: prose(&text(&schema["description"])),
        shape: shape_of(schema),
        fields: fields.collect(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Paragraphs, which blank lines part.
fn prose(text: &str) -> Vec<Paragraph> {
    text.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()).map(pieces).collect()
}

fn pieces(text: &str) -> Paragraph {
    let parts = text.split('`').enumerate().filter(|(_, part)| !part.is_empty());
    parts.map(|(at, part)| Piece { text: part.to_owned(), code: at % 2 == 1 }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_between_backticks_are_code() {
        let code = |text: &str, code| Piece { text: text.to_owned(), code };

        assert_eq!(
            prose("Take `a`, or\n`b`.\n\n\nDone."),
            [
                vec![code("Take ", false), code("a", true), code(", or\n", false), code("b", true), code(".", false)],
                vec![code("Done.", false)]
            ]
        );
    }

    #[test]
    fn what_a_description_says_is_shown_and_cannot_break_out_of_the_page() {
        let evil = "</style><script>alert(1)</script>";
        let description = json!({
            "info": { "title": evil, "version": "1" },
            "paths": { "/v1/<b>": { "post": {
                "tags": [evil],
                "summary": evil,
                "security": [{ "bearer": [] }],
                "parameters": [{ "name": evil, "in": "query", "schema": { "type": "string" } }],
                "requestBody": { "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Thing" } } } },
                "responses": { "200": { "description": evil } },
            } } },
            "components": { "schemas": { "Thing": { "type": "object", "required": ["id"], "properties": {
                "id": { "type": "string", "description": evil },
            } } } },
        });

        let page = page(&description).unwrap();

        let html = page.html();
        assert!(!html.contains("<script") && !html.contains("<b>"), "{html}");
        assert_eq!(html.matches("&lt;script&gt;").count(), 8, "{html}");
        assert!(html.contains("href=\"#schema-Thing\"") && html.contains("id=\"schema-Thing\""), "{html}");
    }
}
