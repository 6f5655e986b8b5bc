//! `request-options` of November. The names end in `-ms`; the values are durations like 0.2's, that is nanoseconds.

use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::p2::bindings::http::types::HostRequestOptions;

use super::Http;

pub(super) fn link<T: WasiView + 'static>(types: &mut Http<'_, T>) -> wasmtime::Result<()> {
    types.resource("request-options", |http, this| {
        HostRequestOptions::drop(http, this)
    })?;
    types.value("[constructor]request-options", |http, ()| {
        HostRequestOptions::new(http)
    })?;
    types.value("[method]request-options.connect-timeout-ms", |http, (this,)| {
        HostRequestOptions::connect_timeout(http, this)
    })?;
    types.value(
        "[method]request-options.set-connect-timeout-ms",
        |http, (this, duration)| HostRequestOptions::set_connect_timeout(http, this, duration),
    )?;
    types.value(
        "[method]request-options.first-byte-timeout-ms",
        |http, (this,)| HostRequestOptions::first_byte_timeout(http, this),
    )?;
    types.value(
        "[method]request-options.set-first-byte-timeout-ms",
        |http, (this, duration)| HostRequestOptions::set_first_byte_timeout(http, this, duration),
    )?;
    types.value(
        "[method]request-options.between-bytes-timeout-ms",
        |http, (this,)| HostRequestOptions::between_bytes_timeout(http, this),
    )?;
    types.value(
        "[method]request-options.set-between-bytes-timeout-ms",
        |http, (this, duration)| HostRequestOptions::set_between_bytes_timeout(http, this, duration),
    )
}
