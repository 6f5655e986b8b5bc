//! The admin API.

use std::path::PathBuf;

use axum::body::Body;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use futures::stream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::logs;
use super::socket::{self, SocketError};
use crate::control::{AppId, Drafts, Rehearsed, Status, SupervisorHandle};
use crate::logs::GuestLogs;
use crate::net::SocketFile;
use crate::tasks;

/// The media type of one JSON value a line.
pub(super) const JSON_LINES: &str = "application/x-ndjson";

/// Bytes of all app files that a plan is asked for: those of thousands of apps.
const MAX_PLAN: usize = 64 << 20;

#[derive(Clone)]
struct Admin {
    status: watch::Receiver<Status>,
    supervisor: SupervisorHandle,
    lame_duck: CancellationToken,
}

/// The admin API while it is served.
pub struct AdminServer {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl AdminServer {
    /// Ends it, and removes the socket.
    pub async fn close(self) {
        self.stop.cancel();
        // A panic has been logged.
        let _ = self.task.await;
    }
}

/// Serves the admin API on the Unix socket `path`. `lame_duck` is cancelled when the daemon is to look unhealthy.
pub async fn serve(
    path: PathBuf,
    status: watch::Receiver<Status>,
    supervisor: SupervisorHandle,
    lame_duck: CancellationToken,
    guests: GuestLogs,
) -> Result<AdminServer, SocketError> {
    let listener = socket::listen(&path).await?;
    let file = SocketFile::of(&path);
    tracing::info!(socket = %path.display(), "admin socket open");
    let logs = logs::routes(guests, status.clone());
    let router = Router::new()
        .route("/status", get(current))
        .route("/status/watch", get(follow))
        .route("/health", get(health))
        .route("/apps/{id}/redeploy", post(redeploy))
        .route("/plan", post(plan).layer(DefaultBodyLimit::max(MAX_PLAN)))
        .with_state(Admin {
            status,
            supervisor: supervisor.clone(),
            lame_duck,
        })
        .merge(super::history::routes(supervisor.clone()))
        .merge(super::backup::routes(supervisor))
        .merge(logs);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let task = tasks::spawn("admin", async move {
        let served = axum::serve(listener, router);
        tokio::select! {
            result = served.into_future() => if let Err(error) = result {
                tracing::error!(%error, "the admin socket failed");
            },
            () = stopped.cancelled() => {}
        }
        drop(file);
    });
    Ok(AdminServer { stop, task })
}

async fn current(State(admin): State<Admin>) -> Json<Status> {
    Json(admin.status.borrow().clone())
}

/// A line for the status as it is, and one for each change; changes that come faster than they are read are one.
async fn follow(State(mut admin): State<Admin>) -> impl IntoResponse {
    admin.status.mark_changed();
    let lines = stream::try_unfold(admin.status, |mut status| async move {
        if status.changed().await.is_err() {
            return Ok(None);
        }
        let mut line = serde_json::to_vec(&*status.borrow_and_update())?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(Some((line, status)))
    });
    ([(header::CONTENT_TYPE, JSON_LINES)], Body::from_stream(lines))
}

async fn health(State(admin): State<Admin>) -> StatusCode {
    match admin.lame_duck.is_cancelled() {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    }
}

async fn redeploy(State(admin): State<Admin>, Path(id): Path<String>) -> StatusCode {
    match admin.supervisor.redeploy(AppId::new(&id)).await {
        true => StatusCode::ACCEPTED,
        false => StatusCode::NOT_FOUND,
    }
}

/// What would be done if the app files were these.
async fn plan(State(admin): State<Admin>, Json(drafts): Json<Drafts>) -> Result<Json<Rehearsed>, StatusCode> {
    let planned = admin.supervisor.rehearse(drafts).await;
    planned.map(Json).ok_or(StatusCode::SERVICE_UNAVAILABLE)
}
