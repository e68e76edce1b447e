//! What an issuer publishes, read with bounds: it is another's server, and it may be anything.

use std::time::Duration;

use url::Url;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Real documents have a few kB.
const MOST_BYTES: usize = 256 * 1024;

/// Why something could not be read. Nothing of what was sent or answered stands in it.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("the request failed")]
    Http(#[source] reqwest::Error),
    #[error("the answer was {0}")]
    Status(reqwest::StatusCode),
    #[error("the answer is longer than {MOST_BYTES} bytes")]
    TooLong,
    #[error("the answer is not the document that was asked for")]
    Document(#[from] serde_json::Error),
    #[error("the answer {0}")]
    Unusable(&'static str),
}

impl From<reqwest::Error> for FetchError {
    /// Without the address: a password may stand in it.
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

/// A document that is there.
pub(super) async fn document(http: &reqwest::Client, url: &Url) -> Result<Vec<u8>, FetchError> {
    let response = http.get(url.clone()).timeout(TIMEOUT).send().await?;
    if response.status() != reqwest::StatusCode::OK {
        return Err(FetchError::Status(response.status()));
    }
    body(response).await
}

/// A whole body, unless it is long beyond reason.
pub(super) async fn body(mut response: reqwest::Response) -> Result<Vec<u8>, FetchError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST_BYTES {
            return Err(FetchError::TooLong);
        }
    }
    Ok(body)
}
