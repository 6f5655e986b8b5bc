//! The HTTP trigger (`docs/contract/http-trigger.md`): sockets, routes, request to response.

mod accept;
mod access_log;
mod admission;
mod app;
mod body;
mod client;
mod config;
mod connections;
mod ending;
mod exchange;
mod executor;
mod forwarded;
mod headers;
mod health;
mod host;
mod listener;
mod prepare;
mod proxy;
mod request_id;
mod respond;
mod router;
mod running;
mod settings;
mod sites;
mod static_response;
mod timeouts;
pub mod tls;

pub use access_log::AccessLog;
pub use admission::{MAX_HEADERS, RequestLimits, RequestRate};
pub use app::{HttpApp, RouteSummary};
pub use health::HealthError;
pub use listener::{BindError, ListenAddress, Listeners};
pub use prepare::{HttpPlan, KIND, PrepareError, prepare};
pub use running::{RunningHttp, start};
pub use settings::{AccessLogFormat, AccessLogSettings, AccessLogTarget, HttpSettings};
