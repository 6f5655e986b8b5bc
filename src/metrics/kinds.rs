//! What is told apart.

use http::StatusCode;

/// Which limit of an app it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Memory,
    CpuTime,
    RequestTime,
    /// Too many requests at once, and no room or no time to wait.
    Queue,
    Rate,
    Body,
    Headers,
    LogRate,
}

impl Reason {
    pub const ALL: [Self; 8] = [
        Self::Memory,
        Self::CpuTime,
        Self::RequestTime,
        Self::Queue,
        Self::Rate,
        Self::Body,
        Self::Headers,
        Self::LogRate,
    ];

    /// The member of an app file's `limits` that says more or less of it.
    pub fn member(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::CpuTime => "cpu_time",
            Self::RequestTime => "request_time",
            Self::Queue => "requests",
            Self::Rate => "rate",
            Self::Body => "body",
            Self::Headers => "headers",
            Self::LogRate => "log_rate",
        }
    }
}

/// How a guest failed that was asked over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Before its response began.
    Trap,
    /// After its response began: it was cut off, or was whole already.
    LateTrap,
    /// It ended without a response.
    NoResponse,
    ExitCode,
    /// It answered with an error in place of a response.
    ErrorCode,
    /// It answered with what can't be sent.
    BadResponse,
    /// The instance that it shared with other requests ended.
    InstanceEnded,
    /// Its code was there when the app was prepared, and is no longer.
    Code,
}

impl Failure {
    pub const ALL: [Self; 8] = [
        Self::Trap,
        Self::LateTrap,
        Self::NoResponse,
        Self::ExitCode,
        Self::ErrorCode,
        Self::BadResponse,
        Self::InstanceEnded,
        Self::Code,
    ];

    /// As it is labelled.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::LateTrap => "late_trap",
            Self::NoResponse => "no_response",
            Self::ExitCode => "exit_code",
            Self::ErrorCode => "error_code",
            Self::BadResponse => "bad_response",
            Self::InstanceEnded => "instance_ended",
            Self::Code => "code",
        }
    }
}

/// The first digit of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusClass {
    Informational,
    Success,
    Redirection,
    ClientError,
    ServerError,
}

impl StatusClass {
    pub const ALL: [Self; 5] = [
        Self::Informational,
        Self::Success,
        Self::Redirection,
        Self::ClientError,
        Self::ServerError,
    ];

    /// What is above 599, which guests may say, counts as a server's error.
    pub fn of(status: StatusCode) -> Self {
        match status.as_u16() {
            ..200 => Self::Informational,
            200..300 => Self::Success,
            300..400 => Self::Redirection,
            400..500 => Self::ClientError,
            500.. => Self::ServerError,
        }
    }

    /// As it is labelled.
    pub fn name(self) -> &'static str {
        match self {
            Self::Informational => "1xx",
            Self::Success => "2xx",
            Self::Redirection => "3xx",
            Self::ClientError => "4xx",
            Self::ServerError => "5xx",
        }
    }
}
