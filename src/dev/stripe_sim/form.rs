//! Form-encoded parameters with nested keys (`a[b][0][c]=v`), taken one by one so that what nobody
//! asked for is refused as unknown.

use std::collections::BTreeMap;

use super::error::StripeError;

const MAX_PAIRS: usize = 2_000;
const MAX_DEPTH: usize = 8;

pub(super) const METADATA_KEYS: usize = 50;
const METADATA_KEY_LETTERS: usize = 40;
const METADATA_VALUE_LETTERS: usize = 500;

pub(super) type Metadata = BTreeMap<String, String>;
type Taken<T> = Result<T, StripeError>;

#[derive(Debug, Clone)]
enum Node {
    Text(String),
    Table(BTreeMap<String, Node>),
}

/// The parameters of one request, or of one table inside it. Each `take` removes what it returns;
/// `finish` refuses whatever is left.
#[derive(Debug, Clone, Default)]
pub(super) struct Params {
    path: String,
    nodes: BTreeMap<String, Node>,
}

/// Bounds on a timestamp: `created=1`, or `created[gte]=1&created[lt]=2`.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct TimeRange {
    from: Option<i64>,
    to: Option<i64>,
}

impl TimeRange {
    pub(super) fn holds(self, at: i64) -> bool {
        self.from.is_none_or(|from| at >= from) && self.to.is_none_or(|to| at <= to)
    }
}

/// What a request asks of an object's metadata: keys to set, and keys to unset (an empty value).
#[derive(Debug, Default, Clone)]
pub(super) struct MetadataChange {
    clear: bool,
    pairs: Vec<(String, String)>,
}

impl MetadataChange {
    pub(super) fn apply(self, metadata: &mut Metadata) -> Taken<()> {
        if self.clear {
            metadata.clear();
        }
        for (key, value) in self.pairs {
            if value.is_empty() {
                metadata.remove(&key);
            } else {
                metadata.insert(key, value);
            }
        }
        if metadata.len() > METADATA_KEYS {
            return Err(StripeError::refused(format!("Metadata can have up to {METADATA_KEYS} keys."))
                .param("metadata")
                .not_kept());
        }
        Ok(())
    }
}

impl Params {
    /// Reads form-encoded text; query string and body are given in turn.
    pub(super) fn parse(sources: &[&[u8]]) -> Taken<Self> {
        let mut root = BTreeMap::new();
        let mut pairs = 0;
        for source in sources {
            for (key, value) in url::form_urlencoded::parse(source) {
                pairs += 1;
                if pairs > MAX_PAIRS {
                    return Err(StripeError::refused("Too many parameters.").not_kept());
                }
                let segments = segments(&key).ok_or_else(|| StripeError::unknown(&key))?;
                insert(&mut root, &segments, value.into_owned()).ok_or_else(|| {
                    StripeError::invalid("parameter_invalid_type", &key, format!("Invalid parameter: {key}"))
                })?;
            }
        }
        Ok(Self { path: String::new(), nodes: root })
    }

    pub(super) fn text(&mut self, name: &str) -> Taken<Option<String>> {
        match self.nodes.remove(name) {
            None => Ok(None),
            Some(Node::Text(text)) => Ok(Some(text)),
            Some(Node::Table(_)) => {
                let name = self.name(name);
                Err(StripeError::invalid("parameter_invalid_string", &name, format!("Invalid string for {name}.")))
            }
        }
    }

    /// A text that counts as absent when empty: on creation, Stripe reads `name=` as unset.
    pub(super) fn filled(&mut self, name: &str) -> Taken<Option<String>> {
        Ok(self.text(name)?.filter(|text| !text.is_empty()))
    }

    pub(super) fn required(&mut self, name: &str) -> Taken<String> {
        match self.text(name)? {
            None => Err(StripeError::missing(&self.name(name))),
            Some(text) if text.is_empty() => {
                let name = self.name(name);
                let message = format!(
                    "You passed an empty string for '{name}'. We assume empty values are an attempt to unset a parameter; however '{name}' cannot be unset."
                );
                Err(StripeError::invalid("parameter_invalid_empty", &name, message))
            }
            Some(text) => Ok(text),
        }
    }

    pub(super) fn integer(&mut self, name: &str) -> Taken<Option<i64>> {
        let Some(text) = self.filled(name)? else {
            return Ok(None);
        };
        let number = text.parse().map_err(|_error| {
            let name = self.name(name);
            StripeError::invalid("parameter_invalid_integer", &name, format!("Invalid integer: {text}"))
        })?;
        Ok(Some(number))
    }

    pub(super) fn required_integer(&mut self, name: &str) -> Taken<i64> {
        self.integer(name)?.ok_or_else(|| StripeError::missing(&self.name(name)))
    }

    pub(super) fn boolean(&mut self, name: &str) -> Taken<Option<bool>> {
        match self.filled(name)?.as_deref() {
            None => Ok(None),
            Some("true") => Ok(Some(true)),
            Some("false") => Ok(Some(false)),
            Some(other) => {
                let name = self.name(name);
                Err(StripeError::invalid("parameter_invalid_boolean", &name, format!("Invalid boolean: {other}")))
            }
        }
    }

    pub(super) fn one_of(&mut self, name: &str, allowed: &[&str]) -> Taken<Option<String>> {
        let Some(text) = self.filled(name)? else {
            return Ok(None);
        };
        if allowed.contains(&text.as_str()) {
            return Ok(Some(text));
        }
        let name = self.name(name);
        Err(StripeError::refused(format!("Invalid {name}: must be one of {}", allowed.join(", ")))
            .param(&name)
            .not_kept())
    }

    /// The table under `name`; empty when the request has none.
    pub(super) fn table(&mut self, name: &str) -> Taken<Self> {
        let path = self.name(name);
        match self.nodes.remove(name) {
            None => Ok(Self { path, nodes: BTreeMap::new() }),
            Some(Node::Table(nodes)) => Ok(Self { path, nodes }),
            Some(Node::Text(text)) if text.is_empty() => Ok(Self { path, nodes: BTreeMap::new() }),
            Some(Node::Text(_)) => Err(StripeError::invalid("parameter_invalid_type", &path, "Invalid object")),
        }
    }

    /// The tables of a list such as `line_items[0][quantity]`, by ascending index.
    pub(super) fn list(&mut self, name: &str) -> Taken<Vec<Self>> {
        let mut list = self.table(name)?;
        list.indexes()?.into_iter().map(|index| list.table(&index)).collect()
    }

    /// The texts of a list such as `types[]=a&types[]=b`, by ascending index.
    pub(super) fn texts(&mut self, name: &str) -> Taken<Vec<String>> {
        let mut list = self.table(name)?;
        list.indexes()?.into_iter().map(|index| list.required(&index)).collect()
    }

    /// The kinds of payment method, under the name of either version of the API: `2026-09-30.endive` renamed it.
    pub(super) fn method_kinds(&mut self) -> Taken<Vec<String>> {
        let kinds = self.texts("allowed_payment_method_types")?;
        if kinds.is_empty() { self.texts("payment_method_types") } else { Ok(kinds) }
    }

    pub(super) fn metadata(&mut self) -> Taken<MetadataChange> {
        let clear = matches!(self.nodes.get("metadata"), Some(Node::Text(text)) if text.is_empty());
        let pairs = self.pairs("metadata")?;
        for (key, value) in &pairs {
            let too_long = |what: &str, limit: usize| {
                StripeError::refused(format!("Metadata {what}s can have up to {limit} characters."))
                    .param(&format!("metadata[{key}]"))
                    .not_kept()
            };
            if key.chars().count() > METADATA_KEY_LETTERS {
                return Err(too_long("key", METADATA_KEY_LETTERS));
            }
            if value.chars().count() > METADATA_VALUE_LETTERS {
                return Err(too_long("value", METADATA_VALUE_LETTERS));
            }
        }
        Ok(MetadataChange { clear, pairs })
    }

    /// The texts of a flat table, such as an address.
    pub(super) fn pairs(&mut self, name: &str) -> Taken<Vec<(String, String)>> {
        let mut table = self.table(name)?;
        let names: Vec<String> = table.nodes.keys().cloned().collect();
        names.into_iter().map(|name| Ok((name.clone(), table.text(&name)?.unwrap_or_default()))).collect()
    }

    pub(super) fn time_range(&mut self, name: &str) -> Taken<TimeRange> {
        if let Some(Node::Text(_)) = self.nodes.get(name) {
            let at = self.integer(name)?;
            return Ok(TimeRange { from: at, to: at });
        }
        let mut table = self.table(name)?;
        let after = table.integer("gt")?.map(|at| at.saturating_add(1));
        let before = table.integer("lt")?.map(|at| at.saturating_sub(1));
        let range = TimeRange { from: table.integer("gte")?.max(after), to: table.integer("lte")?.or(before) };
        table.finish()?;
        Ok(range)
    }

    pub(super) fn finish(self) -> Taken<()> {
        match self.nodes.keys().next() {
            None => Ok(()),
            Some(name) => Err(StripeError::unknown(&self.name(name))),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    pub(super) fn name(&self, name: &str) -> String {
        if self.path.is_empty() { name.into() } else { format!("{}[{name}]", self.path) }
    }

    fn indexes(&self) -> Taken<Vec<String>> {
        let mut indexes: Vec<(u32, String)> = Vec::with_capacity(self.nodes.len());
        for key in self.nodes.keys() {
            let index = key
                .parse()
                .map_err(|_error| StripeError::invalid("parameter_invalid_type", &self.path, "Invalid array"))?;
            indexes.push((index, key.clone()));
        }
        indexes.sort_unstable();
        Ok(indexes.into_iter().map(|(_index, key)| key).collect())
    }
}

/// `a[b][]` into `["a", "b", ""]`; `None` for a key whose brackets do not pair.
fn segments(key: &str) -> Option<Vec<&str>> {
    let Some((first, mut rest)) = key.split_once('[') else {
        return Some(vec![key]);
    };
    let mut segments = vec![first];
    loop {
        let (segment, tail) = rest.split_once(']')?;
        segments.push(segment);
        if segments.len() > MAX_DEPTH {
            return None;
        }
        if tail.is_empty() {
            return Some(segments);
        }
        rest = tail.strip_prefix('[')?;
    }
}

/// `None` when one key is used both as a text and as a table.
fn insert(table: &mut BTreeMap<String, Node>, segments: &[&str], value: String) -> Option<()> {
    let (first, rest) = segments.split_first()?;
    let key = if first.is_empty() { table.len().to_string() } else { (*first).to_owned() };
    if rest.is_empty() {
        table.insert(key, Node::Text(value));
        return Some(());
    }
    match table.entry(key).or_insert_with(|| Node::Table(BTreeMap::new())) {
        Node::Table(inner) => insert(inner, rest, value),
        Node::Text(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_keys_become_tables_and_lists_in_index_order() {
        let body = b"line_items[10][quantity]=3&line_items[2][quantity]=2&metadata[a%20b]=c&expand[]=x&expand[]=y";

        let mut params = Params::parse(&[body]).unwrap();

        let quantities: Vec<_> =
            params.list("line_items").unwrap().into_iter().map(|mut line| line.integer("quantity").unwrap()).collect();
        assert_eq!(quantities, [Some(2), Some(3)]);
        assert_eq!(params.pairs("metadata").unwrap(), [("a b".into(), "c".into())]);
        assert_eq!(params.texts("expand").unwrap(), ["x", "y"]);
        params.finish().unwrap();
    }

    #[test]
    fn a_parameter_nobody_took_is_unknown_and_named_in_full() {
        let mut params = Params::parse(&[b"payment_intent_data[colour]=red"]).unwrap();
        let table = params.table("payment_intent_data").unwrap();

        let error = table.finish().unwrap_err();

        assert_eq!(error.fields()["code"], "parameter_unknown");
        assert_eq!(error.fields()["param"], "payment_intent_data[colour]");
    }

    #[test]
    fn a_range_holds_its_bounds() {
        let mut params = Params::parse(&[b"created[gt]=10&created[lte]=12"]).unwrap();

        let range = params.time_range("created").unwrap();

        assert_eq!([9, 10, 11, 12, 13].map(|at| range.holds(at)), [false, false, true, true, false]);
    }
}
