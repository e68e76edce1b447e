//! What a JSON Schema says of a value, in words.

use serde::Serialize;
use serde_json::Value;

/// What a value is.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Shape {
    /// In words: `list of`, `text or null`.
    pub(super) words: String,
    /// The schema's name, where it is one of those with a name.
    pub(super) schema: Option<String>,
    /// What else must hold: `at most 200 characters`.
    pub(super) limits: Vec<String>,
    /// One that would do.
    pub(super) example: Option<String>,
}

/// The shape of a schema.
pub(super) fn shape_of(schema: &Value) -> Shape {
    if let Some(name) = name_of(schema) {
        return Shape { schema: Some(name), ..Shape::default() };
    }
    for combined in ["oneOf", "anyOf", "allOf"] {
        if let Some(parts) = schema[combined].as_array() {
            return combined_shape(schema, parts);
        }
    }
    let mut kinds = kinds_of(schema);
    // What a list is of follows at the end.
    kinds.sort_by_key(|kind| *kind == "array");
    let words: Vec<String> = kinds.iter().map(|kind| in_words(kind, schema)).collect();
    let mut shape =
        Shape { words: words.join(" or "), limits: limits_of(schema), example: example_of(schema), schema: None };
    if kinds.contains(&"array") {
        let items = shape_of(&schema["items"]);
        shape.words = format!("{} {}", shape.words, items.words).trim_end().to_owned();
        shape.schema = items.schema;
        shape.limits.extend(items.limits);
    }
    if let Some(values) = schema["enum"].as_array() {
        let values: Vec<String> = values.iter().map(plain).collect();
        shape.limits.insert(0, format!("one of {}", values.join(", ")));
    }
    shape
}

/// The fields of an object, each with its schema and whether it must be there.
pub(super) fn fields_of(schema: &Value) -> Vec<(String, &Value, bool)> {
    let parts = schema["allOf"].as_array().into_iter().flatten().flat_map(fields_of);
    let required = |name: &str| {
        schema["required"].as_array().is_some_and(|names| names.iter().any(|required| required.as_str() == Some(name)))
    };
    let own = schema["properties"].as_object().into_iter().flatten();
    parts.chain(own.map(|(name, field)| (name.clone(), field, required(name)))).collect()
}

fn name_of(schema: &Value) -> Option<String> {
    Some(schema["$ref"].as_str()?.rsplit('/').next()?.to_owned())
}

fn combined_shape(schema: &Value, parts: &[Value]) -> Shape {
    let nullable = parts.iter().any(|part| part["type"] == "null");
    let mut shapes = parts.iter().filter(|part| part["type"] != "null").map(shape_of);
    let mut shape = shapes.next().unwrap_or_default();
    for other in shapes {
        let other = other.schema.unwrap_or(other.words);
        shape.words = [shape.words.as_str(), "or", &other].join(" ").trim().to_owned();
    }
    if nullable {
        shape.words = format!("{} or null", shape.words).trim().to_owned();
    }
    shape.example = shape.example.or_else(|| example_of(schema));
    shape
}

fn kinds_of(schema: &Value) -> Vec<&str> {
    match &schema["type"] {
        Value::String(kind) => vec![kind],
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => vec!["anything"],
    }
}

fn in_words(kind: &str, schema: &Value) -> String {
    let format = schema["format"].as_str().unwrap_or_default();
    let word = match (kind, format) {
        ("string", "date-time") => "time (RFC 3339)",
        ("string", "uuid") => "UUID",
        ("string", "") => "text",
        ("string", format) => return format!("text ({format})"),
        ("integer", _) => "whole number",
        ("boolean", _) => "true or false",
        ("array", _) => "list of",
        (kind, _) => kind,
    };
    word.to_owned()
}

fn limits_of(schema: &Value) -> Vec<String> {
    const LIMITS: [(&str, &str, &str); 7] = [
        ("minimum", "at least ", ""),
        ("maximum", "at most ", ""),
        ("minLength", "at least ", " characters"),
        ("maxLength", "at most ", " characters"),
        ("minItems", "at least ", " items"),
        ("maxItems", "at most ", " items"),
        ("pattern", "matches ", ""),
    ];
    let stated = LIMITS.iter().filter(|(key, ..)| !schema[*key].is_null());
    stated.map(|(key, before, after)| format!("{before}{}{after}", plain(&schema[*key]))).collect()
}

fn example_of(schema: &Value) -> Option<String> {
    let example = if schema["example"].is_null() { &schema["examples"][0] } else { &schema["example"] };
    (!example.is_null()).then(|| plain(example))
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(schema: &Value) -> String {
        let shape = shape_of(schema);
        let named = shape.schema.map(|name| format!("[{name}]")).unwrap_or_default();
        let limits = if shape.limits.is_empty() { String::new() } else { format!(" ({})", shape.limits.join("; ")) };
        format!("{named}{}{limits}", shape.words)
    }

    #[test]
    fn a_schema_is_told_in_words() {
        for (schema, told) in [
            (json!({ "$ref": "#/components/schemas/OrderJson" }), "[OrderJson]"),
            (json!({ "type": "string", "format": "date-time" }), "time (RFC 3339)"),
            (json!({ "type": ["string", "null"], "maxLength": 200 }), "text or null (at most 200 characters)"),
            (
                json!({ "type": "integer", "format": "int32", "minimum": 1, "maximum": 100 }),
                "whole number (at least 1; at most 100)",
            ),
            (
                json!({ "type": "array", "items": { "$ref": "#/x/Line" }, "maxItems": 9 }),
                "[Line]list of (at most 9 items)",
            ),
            (json!({ "type": "array", "items": { "type": "string" } }), "list of text"),
            (json!({ "oneOf": [{ "type": "null" }, { "$ref": "#/x/Address" }] }), "[Address]or null"),
            (json!({ "type": "string", "enum": ["a", "b"] }), "text (one of a, b)"),
            (json!({}), "anything"),
        ] {
            assert_eq!(words(&schema), told, "{schema}");
        }
    }

    #[test]
    fn fields_of_joined_schemas_are_all_there() {
        let joined = json!({
            "allOf": [
                { "type": "object", "properties": { "a": {} }, "required": ["a"] },
                { "type": "object", "properties": { "b": {} } },
            ],
        });

        let fields: Vec<(String, bool)> =
            fields_of(&joined).into_iter().map(|(name, _, required)| (name, required)).collect();

        assert_eq!(fields, [("a".to_owned(), true), ("b".to_owned(), false)]);
    }
}
