//! Lepton runs many Spin applications in one process.
//!
//! # The map of the house
//!
//! Dependencies point down this list only.
//!
//! | room | responsibility | must not know |
//! |---|---|---|
//! | [`cli`] | arguments to settings, subcommands, exit codes | wasm, registries |
//! | [`daemon`] | the composition root: builds the long-lived parts once and wires them | |
//! | [`tools`] | what the commands do that work on files: checks, artifacts, credentials, the cache | |
//! | [`control`] | desired state (a directory, or a fixed list) to running apps: watch, plan, supervise | OCI, wasm, HTTP |
//! | [`launch`] | the straight pipe from an app file to a running trigger | the directory |
//! | [`manifest`] | one app file, raw to typed, once | everything else |
//! | [`runtime_config`] | the operator's side of an app's interfaces, Spin's TOML or JSON to typed | what it configures |
//! | [`oci`] | a reference to verified local content | wasm |
//! | [`app`] | the locked app: types, versions, validation | network, disk, wasm |
//! | [`loader`] | locked app and stored content to linkable components | sockets |
//! | [`trigger`] | HTTP: sockets, routes, request to response; events: subscriptions, schedules, commands | registries, watched files |
//! | [`host`] | one module for each host interface | other host modules |
//! | [`net`] | what a guest may reach, and how; where an app is reached | apps, wasm |
//! | [`otlp`] | the way to the operator's collector, for what guests tell and what the daemon tells | who tells it |
//! | [`variables`] | templates and the values behind them | wasm |
//! | [`runtime`] | the two engines, their linkers, the store's data, what instances may use, the epoch clock | sockets, registries |
//! | [`sandbox`] | what the process takes from itself at its start, and where it may still write | everything else |
//! | [`service`] | what a service manager gives and is told: directories, sockets, readiness | apps, wasm |
//! | [`credentials`] | a credential's name to its file | |
//! | [`admin`] | views of the status and of what is counted, and the few commands an operator needs | how apps run |
//! | [`logs`] | files of lines and the threads that write them; what guests print, by app and component | who prints it |
//! | [`memory`] | what has been freed goes back to the system | who frees it |
//! | [`metrics`] | what is counted of each app, in plain atomics | who reads it |
//! | [`problem`] | what a refused request is answered with (RFC 9457) | |
//! | [`errors`] | an error and its causes in one line | |
//! | [`tasks`] | named spawn, threads that make way for others, the tokens for lame duck, drain and force | |
//! | [`telemetry`] | the log subscriber, counts of what would be logged too often, what is told of requests | where it is sent |
//!
//! # Long-lived tasks
//!
//! | task | owner | ends |
//! |---|---|---|
//! | the epoch clock, a thread | [`runtime::Runtime`] | with the engines |
//! | the background: threads that drive what makes way for others, one that drives what they neglect, and an async runtime for both | [`runtime::Runtime`] | with the last handle to it |
//! | the watch, a thread; or the list | [`control::watch`], [`control::watch_list`] | when the supervisor stops listening |
//! | the supervisor | [`control::Supervisor`] | at a shutdown, after every app |
//! | the writer of last good versions; the writer of histories and pins | the supervisor | after all is written |
//! | one for each running version of an app that more than requests can start | the supervisor, by an abort handle | drained, then aborted |
//! | four threads for short work with files | [`tasks::on_disk`] | with the process |
//! | one for each instance that serves several requests | its pool in [`trigger::http`] | when it is idle for long, has served its share, or fails |
//! | one for each listener, one for each connection | [`trigger::http::Listeners`] | when no app is behind it; with its client |
//! | the writer of the access log, a thread | [`trigger::http::AccessLog`] | at the end of the process |
//! | the writer of what guests print, a thread | [`logs::GuestLogs`] | at the end of the process |
//! | one that looks at all files for TLS | [`net`] | with the process |
//! | one for each name that certificates are ordered for | [`trigger::http::tls`] | when no app has the name |
//! | what is wrong with an app's TLS: one that joins it, one that tells the supervisor | [`trigger::http::tls`], the supervisor | with that run |
//! | one for each subscription (Redis, MQTT, SQS) and each app's schedules | its slot in [`trigger`] | when no version of the app is behind it |
//! | one for each connection to a database or broker | its pool in [`host`] | with the connection |
//! | one that closes idle connections, for each such pool | the pool | with the pool |
//! | one that sends telemetry, for each signal; one that adds up metrics, a thread | [`otlp::Exporter`], [`otlp::DaemonTelemetry`] | with the process |
//! | pruning | [`launch::Pins`] | with the process |
//! | one that lets go of code that nobody uses, one for the parts of apps that nobody asks | [`loader::Residents`] | with the process |
//! | what came in the last minutes | [`metrics::Apps`] | with the process |
//! | the admin socket and the admin address, the signals | [`daemon`] | at a shutdown |
//! | what waits for the first outcome of every app | [`admin`] | with that |
//!
//! # Where the house is simpler than its plan
//!
//! `oci` speaks to registries with `reqwest`, and takes only references from `oci-client`, which hides the headers of
//! errors (`Retry-After`) and reads manifests without a bound. The release candidates of 2023 are linked by hand with
//! the types of 0.2, both from the same lines, and not generated.
//!
//! The daemon's own spans, metrics and log records come from OpenTelemetry's SDK and go through the queues that guests' have: the
//! SDK samples and adds up, and `opentelemetry-otlp` would bring a second client with rules of its own. They are started by hand,
//! and not by `tracing`'s spans, so that the filter of the log decides about the log alone.
//!
//! There are two engines, not one: what can't be asynchronous runs on one that keeps no account of tasks, which would be a sixth of a small
//! request's time. Which one a component needs is found when it is compiled, and remembered beside its code.
//!
//! What each host interface took from a component, and keeps for an instance, stands in [`runtime`] by its type, which that room does
//! not know. `wit/host` has one package set for all of [`host`] and the triggers. Only libSQL's protocol types come from a crate of its
//! field: the client that belongs to them would link a second SQLite.

#![warn(unreachable_pub)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

pub mod admin;
pub mod app;
pub mod cli;
pub mod control;
pub mod credentials;
pub mod daemon;
pub mod errors;
pub mod host;
pub mod launch;
pub mod loader;
pub mod logs;
mod machine;
pub mod manifest;
pub mod memory;
pub mod metrics;
pub mod net;
pub mod oci;
pub mod otlp;
pub mod problem;
pub mod runtime;
pub mod runtime_config;
pub mod sandbox;
pub mod service;
pub mod tasks;
pub mod telemetry;
pub mod tools;
pub mod trigger;
pub mod variables;
