//! Asking for jobs over HTTP.

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::Options;
use crate::{Job, ids::JobId};

/// A client of one Berth, with an application's key. Cheap to clone.
///
/// It does not send again by itself: under [`Options::key`] a caller may, as often as it likes.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    key: String,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("base", &self.base).finish_non_exhaustive()
    }
}

/// A job that is in the ledger because it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Enqueued {
    /// Which.
    pub id: JobId,
    /// queued, running, done, cancelled or dead.
    pub state: String,
    /// Whether this request made it.
    pub created: bool,
}

/// How a job stands.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct JobStatus {
    /// Which.
    pub id: JobId,
    /// Its name.
    pub kind: String,
    /// queued, running, done, cancelled or dead. Dead jobs wait for a person.
    pub state: String,
    /// How often it was begun.
    pub attempt: u32,
    /// Why the last attempt failed, or what it waits for.
    pub last_error: Option<String>,
}

/// Why a request was not answered as it should be.
#[derive(Debug)]
pub enum ClientError {
    /// Berth refuses, and will refuse it again.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The last part of the problem's `type`, such as `job-payload-invalid`.
        problem: String,
        /// What is wrong, and what to do.
        detail: String,
    },
    /// Berth is away, busy or out of reach: asking again, under the same key, is right.
    Away(String),
    /// The answer is none of Berth's.
    Unreadable(String),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { status, problem, detail } => write!(f, "refused ({status} {problem}): {detail}"),
            Self::Away(why) => write!(f, "Berth could not be asked: {why}"),
            Self::Unreadable(why) => write!(f, "the answer cannot be read: {why}"),
        }
    }
}

impl std::error::Error for ClientError {}

#[derive(Serialize)]
struct Asked<'a, J> {
    kind: &'static str,
    payload: &'a J,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run_at: Option<&'a str>,
}

impl<'a, J: Job> Asked<'a, J> {
    fn new(job: &'a J, options: &'a Options) -> Self {
        Self { kind: J::NAME, payload: job, key: options.key.as_deref(), run_at: options.run_at.as_deref() }
    }
}

#[derive(Deserialize)]
struct Batch {
    jobs: Vec<Enqueued>,
}

impl Client {
    /// A client of the Berth at `base`, such as `https://berth.example.com`. `key` is what `berth keys create` has printed;
    /// timeouts and TLS are `http`'s.
    #[must_use]
    pub fn new(http: reqwest::Client, base: &str, key: impl Into<String>) -> Self {
        Self { http, base: base.trim_end_matches('/').to_owned(), key: key.into() }
    }

    /// Asks for a job.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn enqueue<J: Job>(&self, job: &J, options: &Options) -> Result<Enqueued, ClientError> {
        self.post("/v1/jobs", &Asked::new(job, options)).await
    }

    /// Asks for up to 1,000 jobs of one kind, all or none; answers them in their order.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn enqueue_all<J: Job>(&self, jobs: &[(J, Options)]) -> Result<Vec<Enqueued>, ClientError> {
        let asked: Vec<Asked<'_, J>> = jobs.iter().map(|(job, options)| Asked::new(job, options)).collect();
        let batch: Batch = self.post("/v1/jobs/batch", &serde_json::json!({ "jobs": asked })).await?;
        Ok(batch.jobs)
    }

    /// How a job stands.
    ///
    /// # Errors
    /// See [`ClientError`]; a job of a kind that the key may not ask for is refused like one that there is not.
    pub async fn job(&self, id: JobId) -> Result<JobStatus, ClientError> {
        self.read(self.http.get(format!("{}/v1/jobs/{id}", self.base))).await
    }

    /// How the job stands that this application has asked for under a key.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn job_under_key(&self, key: &str) -> Result<JobStatus, ClientError> {
        let url = reqwest::Url::parse_with_params(&format!("{}/v1/jobs", self.base), [("key", key)]);
        let url = url.map_err(|error| ClientError::Away(error.to_string()))?;
        self.read(self.http.get(url)).await
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, ClientError> {
        self.read(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    async fn read<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> Result<T, ClientError> {
        let away = |error: reqwest::Error| ClientError::Away(error.to_string());
        let response = request.bearer_auth(&self.key).send().await.map_err(away)?;
        let status = response.status();
        let body = response.bytes().await.map_err(away)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| ClientError::Unreadable(error.to_string()));
        }
        let problem: Value = serde_json::from_slice(&body).unwrap_or_default();
        let text = |name: &str| problem.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if status.is_server_error() || status == reqwest::StatusCode::TOO_MANY_REQUESTS {
            return Err(ClientError::Away(format!("{status}: {}", text("detail"))));
        }
        let problem = text("type").rsplit('/').next().unwrap_or_default().to_owned();
        Err(ClientError::Refused { status: status.as_u16(), problem, detail: text("detail") })
    }
}
