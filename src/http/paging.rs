//! Lists page by cursor, newest first.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::problem::Problem;

/// So many are listed when the caller does not say.
const USUAL: i64 = 20;
/// At most so many are listed at once.
const MOST: i64 = 100;

/// How to page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// How many: 1 to 100, 20 when not given.
    pub limit: Option<i64>,
    /// The id of the last one of the page before.
    pub starting_after: Option<String>,
    /// Only those with this status.
    pub status: Option<String>,
}

impl PageQuery {
    /// Pages of a list whose other parameters are its own.
    ///
    /// # Errors
    /// When so many are not listed at once.
    pub(super) fn of_limit(limit: Option<i64>) -> Result<Self, Problem> {
        if limit.is_some_and(|limit| !(1..=MOST).contains(&limit)) {
            return Err(Problem::invalid_request(format!("limit: 1 to {MOST}")));
        }
        Ok(Self { limit, starting_after: None, status: None })
    }

    /// One more than is shown, which tells whether there are more.
    pub(super) fn fetch(&self) -> i64 {
        self.shown() + 1
    }

    fn shown(&self) -> i64 {
        self.limit.unwrap_or(USUAL).clamp(1, MOST)
    }

    /// The page that was fetched, without the one that told of more.
    pub(super) fn page<T>(&self, mut fetched: Vec<T>) -> Listed<T> {
        let shown = usize::try_from(self.shown()).unwrap_or(usize::MAX);
        let has_more = fetched.len() > shown;
        fetched.truncate(shown);
        Listed { data: fetched, has_more }
    }
}

/// One page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Listed<T> {
    /// The newest first.
    pub data: Vec<T>,
    /// Whether there are older ones.
    pub has_more: bool,
}
