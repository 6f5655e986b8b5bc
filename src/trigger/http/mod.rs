//! The HTTP trigger (`docs/contract/http-trigger.md`): sockets, routes, request to response.

mod accept;
mod admission;
mod app;
mod body;
mod client;
mod config;
mod ending;
mod exchange;
mod executor;
mod headers;
mod health;
mod host;
mod listener;
mod prepare;
mod respond;
mod router;
mod running;
mod settings;
mod sites;
mod static_response;

pub use admission::{MAX_HEADERS, RequestLimits, RequestRate};
pub use app::{HttpApp, RouteSummary};
pub use health::HealthError;
pub use listener::{BindError, ListenAddress, Listeners};
pub use prepare::{HttpPlan, KIND, PrepareError, prepare};
pub use running::{RunningHttp, start};
pub use settings::HttpSettings;
