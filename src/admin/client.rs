//! The other end of the admin socket.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

use super::routes::{VersionName, Wanted};
use crate::control::{Drafts, History, PinnedVersion, Rehearsed, Status};
use crate::logs::{LogLine, LogQuery};
use crate::tasks;

/// Why the daemon gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    #[error("no daemon answers on {}: is it running, and for this directory? --socket names another", socket.display())]
    NoDaemon { socket: PathBuf, source: std::io::Error },
    #[error("the connection to the daemon failed")]
    Connection(#[from] hyper::Error),
    #[error("the daemon's answer is not understood: is it of another version?")]
    Answer(#[from] serde_json::Error),
    #[error("the daemon has no app `{0}`: `status` lists them")]
    NoSuchApp(String),
    /// What it answered with can't be kept.
    #[error("can't write {}", path.display())]
    Output { path: PathBuf, source: std::io::Error },
    #[error("the daemon answered {0}")]
    Refused(StatusCode),
    /// In the daemon's own words.
    #[error("{0}")]
    Told(String),
}

/// What of a problem document people are told.
#[derive(serde::Deserialize)]
struct Problem {
    detail: String,
}

/// Asks the daemon behind one admin socket.
pub struct AdminClient {
    socket: PathBuf,
}

impl AdminClient {
    pub fn new(socket: impl AsRef<Path>) -> Self {
        Self {
            socket: socket.as_ref().into(),
        }
    }

    /// The status as it is now.
    pub async fn status(&self) -> Result<Status, AdminError> {
        let body = self
            .send(Method::GET, "/status")
            .await?
            .into_body()
            .collect()
            .await?
            .to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }

    /// Shows the status to `each` as it is now and after every change, until the daemon goes.
    pub async fn watch(&self, mut each: impl FnMut(Status)) -> Result<(), AdminError> {
        let body = self.send(Method::GET, "/status/watch").await?.into_body();
        let each = |status| {
            each(status);
            true
        };
        json_lines(body, each).await
    }

    /// Shows what an app has printed to `each`, line by line, until that has seen enough.
    pub async fn logs(
        &self,
        app: &str,
        query: &LogQuery,
        each: impl FnMut(LogLine) -> bool,
    ) -> Result<(), AdminError> {
        match self.send(Method::GET, &logs_path(app, query)).await {
            Ok(response) => json_lines(response.into_body(), each).await,
            Err(AdminError::Refused(StatusCode::NOT_FOUND)) => Err(AdminError::NoSuchApp(app.into())),
            Err(error) => Err(error),
        }
    }

    /// Has the app's reference resolved again, and the app redeployed if it moved.
    pub async fn redeploy(&self, app: &str) -> Result<(), AdminError> {
        match self.send(Method::POST, &app_path(app, "redeploy")).await {
            Ok(_) => Ok(()),
            Err(AdminError::Refused(StatusCode::NOT_FOUND)) => Err(AdminError::NoSuchApp(app.into())),
            Err(error) => Err(error),
        }
    }

    /// What would be done if the app files were these.
    pub async fn plan(&self, drafts: &Drafts) -> Result<Rehearsed, AdminError> {
        let body = Bytes::from(serde_json::to_vec(drafts)?);
        let response = successful(self.ask(Method::POST, "/plan", body).await?)?;
        let answer = response.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice(&answer)?)
    }

    /// What of the app has served.
    pub async fn history(&self, app: &str) -> Result<History, AdminError> {
        let response = self.told(Method::GET, app, "history", Bytes::new()).await?;
        let body = response.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }

    /// Pins the app to a version that served, `None` being the one before the one that serves; returns when it serves.
    pub async fn roll_back(&self, app: &str, version: Option<String>) -> Result<PinnedVersion, AdminError> {
        let wanted = Wanted {
            version: version.map(VersionName::Text),
        };
        let wanted = serde_json::to_vec(&wanted)?.into();
        let response = self.told(Method::POST, app, "rollback", wanted).await?;
        let body = response.into_body().collect().await?.to_bytes();
        Ok(serde_json::from_slice(&body)?)
    }

    /// Ends the app's pin.
    pub async fn undo_rollback(&self, app: &str) -> Result<(), AdminError> {
        let told = self.told(Method::DELETE, app, "rollback", Bytes::new());
        told.await.map(drop)
    }

    /// A tar of the app's databases. A body that ends without an error is whole.
    pub async fn back_up(&self, app: &str) -> Result<Incoming, AdminError> {
        let told = self.told(Method::POST, app, "backup", Bytes::new());
        Ok(told.await?.into_body())
    }

    /// Sends a command for one app; one that is refused is told in the daemon's words.
    async fn told(
        &self,
        method: Method,
        app: &str,
        command: &str,
        body: Bytes,
    ) -> Result<http::Response<Incoming>, AdminError> {
        let response = self.ask(method, &app_path(app, command), body).await?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.into_body().collect().await?.to_bytes();
        let problem = serde_json::from_slice::<Problem>(&body);
        Err(problem.map_or(AdminError::Refused(status), |problem| {
            AdminError::Told(problem.detail)
        }))
    }

    async fn send(&self, method: Method, path: &str) -> Result<http::Response<Incoming>, AdminError> {
        successful(self.ask(method, path, Bytes::new()).await?)
    }

    /// `body` is JSON, or empty.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<http::Response<Incoming>, AdminError> {
        let no_daemon = |source| AdminError::NoDaemon {
            socket: self.socket.clone(),
            source,
        };
        let stream = UnixStream::connect(&self.socket).await.map_err(no_daemon)?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        tasks::spawn("admin-client", async move {
            // What breaks the connection breaks the request too, and is reported there.
            let _ = connection.await;
        });
        let has_body = !body.is_empty();
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = method;
        // The paths are the constants above, and an app's id escaped.
        *request.uri_mut() = path.parse().map_err(|_| AdminError::NoSuchApp(path.into()))?;
        request
            .headers_mut()
            .insert(header::HOST, http::HeaderValue::from_static("localhost"));
        if has_body {
            let json = http::HeaderValue::from_static("application/json");
            request.headers_mut().insert(header::CONTENT_TYPE, json);
        }
        Ok(sender.send_request(request).await?)
    }
}

fn successful(response: http::Response<Incoming>) -> Result<http::Response<Incoming>, AdminError> {
    match response.status().is_success() {
        true => Ok(response),
        false => Err(AdminError::Refused(response.status())),
    }
}

/// Shows each line to `each`, which says whether it wants another one.
async fn json_lines<T: DeserializeOwned>(
    mut body: Incoming,
    mut each: impl FnMut(T) -> bool,
) -> Result<(), AdminError> {
    let mut line = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if line.ends_with(b"\n") {
                if !each(serde_json::from_slice(&line)?) {
                    return Ok(());
                }
                line.clear();
            }
        }
    }
    Ok(())
}

fn app_path(app: &str, command: &str) -> String {
    app_url(app, command).path().to_owned()
}

fn logs_path(app: &str, query: &LogQuery) -> String {
    let mut url = app_url(app, "logs");
    let mut pairs = url.query_pairs_mut();
    pairs.append_pair("lines", &query.lines.to_string());
    if let Some(component) = &query.component {
        pairs.append_pair("component", component);
    }
    if let Some(stream) = query.stream {
        pairs.append_pair("stream", stream.name());
    }
    if query.follow {
        pairs.append_pair("follow", "true");
    }
    drop(pairs);
    url[url::Position::BeforePath..].to_owned()
}

/// An id is a file's stem: it may hold anything but a slash.
fn app_url(app: &str, what: &str) -> url::Url {
    let mut url = url::Url::parse("http://localhost").expect("a constant");
    if let Ok(mut path) = url.path_segments_mut() {
        path.extend(["apps", app, what]);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_id_fits_into_a_path() {
        assert_eq!(app_path("a-1", "redeploy"), "/apps/a-1/redeploy");
        assert_eq!(
            app_path("my app?#%", "redeploy"),
            "/apps/my%20app%3F%23%25/redeploy"
        );
    }

    #[test]
    fn what_is_wanted_of_the_logs_is_a_query() {
        let query = LogQuery {
            lines: 5,
            component: Some("a&b".into()),
            stream: Some(crate::logs::Stream::Stderr),
            follow: true,
        };
        let path = "/apps/a%3F/logs?lines=5&component=a%26b&stream=stderr&follow=true";
        assert_eq!(logs_path("a?", &query), path);
    }
}
