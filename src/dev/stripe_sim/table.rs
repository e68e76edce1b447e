//! Objects of one kind in the order they were made, and Stripe's paging over them.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use super::error::StripeError;
use super::form::{Params, TimeRange};

const DEFAULT_LIMIT: i64 = 10;
const MAX_LIMIT: i64 = 100;

/// An object of the API.
pub(super) trait Record {
    /// The name in "No such …", such as `payment_intent`.
    const KIND: &'static str;
    fn id(&self) -> &str;
    fn created(&self) -> i64;
    /// The object as the API shows it.
    fn json(&self) -> Value;
}

/// One object out of the fields of two: `json!` takes no literal as long as Stripe's objects.
pub(super) fn joined(mut first: Value, second: Value) -> Value {
    if let (Value::Object(fields), Value::Object(more)) = (&mut first, second) {
        fields.extend(more);
    }
    first
}

/// Records by id and by age. Past its capacity the oldest record is forgotten.
#[derive(Debug)]
pub(super) struct Table<R> {
    capacity: usize,
    next: u64,
    rows: BTreeMap<u64, R>,
    by_id: HashMap<String, u64>,
}

impl<R: Record> Table<R> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, next: 0, rows: BTreeMap::new(), by_id: HashMap::new() }
    }

    pub(super) fn insert(&mut self, record: R) {
        self.next += 1;
        self.by_id.insert(record.id().to_owned(), self.next);
        self.rows.insert(self.next, record);
        if self.rows.len() > self.capacity
            && let Some((_sequence, oldest)) = self.rows.pop_first()
        {
            self.by_id.remove(oldest.id());
        }
    }

    pub(super) fn find(&self, id: &str) -> Option<&R> {
        self.rows.get(self.by_id.get(id)?)
    }

    pub(super) fn find_mut(&mut self, id: &str) -> Option<&mut R> {
        self.rows.get_mut(self.by_id.get(id)?)
    }

    /// The record a path names; 404 when there is none.
    pub(super) fn get(&self, id: &str) -> Result<&R, StripeError> {
        self.find(id).ok_or_else(|| StripeError::no_such(R::KIND, id))
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Result<&mut R, StripeError> {
        self.find_mut(id).ok_or_else(|| StripeError::no_such(R::KIND, id))
    }

    /// The record a parameter names; 400 when there is none.
    pub(super) fn named(&self, id: &str, param: &str) -> Result<&R, StripeError> {
        self.find(id).ok_or_else(|| StripeError::no_such_param(R::KIND, id, param))
    }

    pub(super) fn forget(&mut self, id: &str) {
        if let Some(sequence) = self.by_id.remove(id) {
            self.rows.remove(&sequence);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn oldest_first(&self) -> impl Iterator<Item = &R> {
        self.rows.values()
    }

    /// How many records were made before and with this one: an order between events.
    pub(super) fn sequence(&self, id: &str) -> u64 {
        self.by_id.get(id).copied().unwrap_or(0)
    }

    /// One page of the records `keep` admits, newest first, as a list object.
    pub(super) fn page(&self, page: &Page, url: &str, keep: impl Fn(&R) -> bool) -> Result<Value, StripeError> {
        let admitted = |row: &&R| page.created.holds(row.created()) && keep(row);
        let mut found: Vec<&R> = match (&page.starting_after, &page.ending_before) {
            (Some(after), _) => {
                let end = self.cursor(after, "starting_after")?;
                self.rows.range(..end).rev().map(|(_sequence, row)| row).filter(admitted).take(page.limit + 1).collect()
            }
            (None, Some(before)) => {
                let start = self.cursor(before, "ending_before")?;
                self.rows.range(start + 1..).map(|(_sequence, row)| row).filter(admitted).take(page.limit + 1).collect()
            }
            (None, None) => self.rows.values().rev().filter(admitted).take(page.limit + 1).collect(),
        };
        let has_more = found.len() > page.limit;
        found.truncate(page.limit);
        if page.starting_after.is_none() && page.ending_before.is_some() {
            found.reverse();
        }
        let data: Vec<Value> = found.into_iter().map(Record::json).collect();
        Ok(json!({ "object": "list", "url": url, "has_more": has_more, "data": data }))
    }

    fn cursor(&self, id: &str, param: &str) -> Result<u64, StripeError> {
        self.by_id.get(id).copied().ok_or_else(|| StripeError::no_such_param(R::KIND, id, param))
    }
}

/// The paging parameters every list takes.
#[derive(Debug)]
pub(super) struct Page {
    limit: usize,
    starting_after: Option<String>,
    ending_before: Option<String>,
    created: TimeRange,
}

impl Page {
    pub(super) fn take(params: &mut Params) -> Result<Self, StripeError> {
        let limit = params.integer("limit")?.unwrap_or(DEFAULT_LIMIT);
        let valid = usize::try_from(limit).ok().filter(|_limit| (1..=MAX_LIMIT).contains(&limit));
        let Some(limit) = valid else {
            return Err(StripeError::invalid(
                "parameter_invalid_integer",
                "limit",
                format!("Invalid limit: must be between 1 and {MAX_LIMIT}"),
            ));
        };
        let (starting_after, ending_before) = (params.filled("starting_after")?, params.filled("ending_before")?);
        if starting_after.is_some() && ending_before.is_some() {
            return Err(
                StripeError::refused("You may only provide one of `starting_after` and `ending_before`.").not_kept()
            );
        }
        Ok(Self { limit, starting_after, ending_before, created: params.time_range("created")? })
    }

    /// One page of a short list that belongs to another object, in its own order.
    pub(super) fn of<R: Record>(&self, items: &[R], url: &str) -> Result<Value, StripeError> {
        let start = match &self.starting_after {
            None => 0,
            Some(after) => {
                let found = items.iter().position(|item| item.id() == after);
                found.ok_or_else(|| StripeError::no_such_param(R::KIND, after, "starting_after"))? + 1
            }
        };
        let data: Vec<Value> = items.iter().skip(start).take(self.limit).map(Record::json).collect();
        let has_more = start + data.len() < items.len();
        Ok(json!({ "object": "list", "url": url, "has_more": has_more, "data": data }))
    }
}
