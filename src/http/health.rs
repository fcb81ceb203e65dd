//! Whether the server lives, whether it can serve, and its figures.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, timeout};

use crate::app::App;

/// How long a dependency may take to answer: probes give up after a few seconds themselves.
const PATIENCE: Duration = Duration::from_secs(2);
/// The media type of the figures.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How the server is.
#[derive(Serialize, JsonSchema)]
pub struct Health {
    /// Whether it can serve.
    status: Status,
    /// Each dependency.
    checks: Vec<Check>,
}

/// Whether it can serve.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// It can.
    Ok,
    /// It can, and does without something that would be better there.
    Degraded,
    /// Something that it needs fails.
    Unavailable,
}

/// One dependency.
#[derive(Serialize, JsonSchema)]
struct Check {
    /// Its name.
    name: &'static str,
    /// Whether it answers and works.
    ok: bool,
    /// Whether nothing can be served without it.
    required: bool,
    /// How long it took to answer, in whole milliseconds.
    ms: u64,
}

/// `GET /health/live`
pub async fn live() -> Json<Health> {
    Json(Health { status: Status::Ok, checks: Vec::new() })
}

/// `GET /health`, `GET /health/ready`
pub async fn ready(State(app): State<Arc<App>>) -> Response {
    let store = check("store", true, app.store.health());
    let shared = async {
        // Without it limits are still counted, by each node alone: no reason to serve nobody.
        let standing = app.shared.standing();
        let probe = async { app.shared.health().await.unwrap_or(Ok(())) };
        if standing.is_some() { Some(check("shared", false, probe).await) } else { None }
    };
    let (store, shared) = tokio::join!(store, shared);
    let checks: Vec<_> = std::iter::once(store).chain(shared).collect();
    let (status, code) = if checks.iter().all(|check| check.ok) {
        (Status::Ok, StatusCode::OK)
    } else if checks.iter().all(|check| check.ok || !check.required) {
        (Status::Degraded, StatusCode::OK)
    } else {
        (Status::Unavailable, StatusCode::SERVICE_UNAVAILABLE)
    };
    (code, Json(Health { status, checks })).into_response()
}

async fn check<E: std::error::Error>(
    name: &'static str,
    required: bool,
    probe: impl Future<Output = Result<(), E>>,
) -> Check {
    let started = Instant::now();
    let ok = match timeout(PATIENCE, probe).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(name, %error, "a dependency fails");
            false
        }
        Err(_) => {
            tracing::warn!(name, "a dependency does not answer");
            false
        }
    };
    Check { name, ok, required, ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX) }
}

/// `GET /metrics`
pub async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    app.metrics.hashing.set(i64::try_from(app.hashing.waiting()).unwrap_or(i64::MAX));
    app.metrics.dependencies(app.store.vitals().await, app.shared.standing());
    ([(header::CONTENT_TYPE, OPEN_METRICS)], app.metrics.render())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::StoreError;

    #[tokio::test]
    async fn a_failing_or_silent_dependency_is_not_well() {
        assert!(check("store", true, async { Ok::<_, StoreError>(()) }).await.ok);
        assert!(!check("store", true, async { Err(StoreError::Conflict) }).await.ok);
        let silent = check("store", true, std::future::pending::<Result<(), StoreError>>()).await;
        assert!(!silent.ok && silent.ms >= 2_000);
    }
}
