//! `wasi:http`, requests that go out.

use calls::{Call, Handles, Misunderstood, show};
use serde_json::Value;

use crate::Shown;
use crate::bindings::wasi::http::outgoing_handler::handle;
use crate::bindings::wasi::http::types::{
    Fields, FutureIncomingResponse, FutureTrailers, IncomingBody, IncomingResponse, OutgoingBody,
    OutgoingRequest, RequestOptions, http_error_code,
};
use crate::io::Io;

#[derive(Default)]
pub struct Http {
    trailers: Handles<FutureTrailers>,
    bodies: Handles<IncomingBody>,
    responses: Handles<IncomingResponse>,
    futures: Handles<FutureIncomingResponse>,
    written: Handles<OutgoingBody>,
    requests: Handles<OutgoingRequest>,
    options: Handles<RequestOptions>,
    fields: Handles<Fields>,
}

impl Http {
    pub fn call(&mut self, call: &mut Call, io: &mut Io) -> Shown {
        let function = call.function.clone();
        let name = function.trim_start_matches("http/types#");
        match name.split('.').next().unwrap_or_default() {
            "fields" => self.fields(name, call),
            "outgoing-request" => self.request(name, call),
            "request-options" => self.options(name, call),
            _ => self.exchange(name, call, io),
        }
    }

    fn fields(&mut self, name: &str, call: &mut Call) -> Shown {
        match name {
            "fields.new" => return Ok(self.fields.add(Fields::new())),
            "fields.from-list" => {
                let made = Fields::from_list(&call.next::<Vec<(String, Vec<u8>)>>()?);
                return Ok(self.fields.keep(made));
            }
            _ => {}
        }
        let it = self.fields.get(call)?;
        Ok(match name {
            "fields.get" => show(&it.get(&call.next::<String>()?)),
            "fields.has" => show(&it.has(&call.next::<String>()?)),
            "fields.set" => show(&it.set(&call.next::<String>()?, &call.next::<Vec<Vec<u8>>>()?)),
            "fields.delete" => show(&it.delete(&call.next::<String>()?)),
            "fields.append" => show(&it.append(&call.next::<String>()?, &call.next::<Vec<u8>>()?)),
            "fields.entries" => show(&it.entries()),
            "fields.clone" => {
                let cloned = it.clone();
                self.fields.add(cloned)
            }
            other => return Err(Misunderstood::function(other)),
        })
    }

    fn request(&mut self, name: &str, call: &mut Call) -> Shown {
        if name == "outgoing-request.new" {
            let request = OutgoingRequest::new(self.fields.take(call)?);
            return Ok(self.requests.add(request));
        }
        let it = self.requests.get(call)?;
        Ok(match name {
            "outgoing-request.body" => {
                let body = it.body();
                self.written.keep(body)
            }
            "outgoing-request.method" => show(&it.method()),
            "outgoing-request.set-method" => show(&it.set_method(&call.next()?)),
            "outgoing-request.path-with-query" => show(&it.path_with_query()),
            "outgoing-request.set-path-with-query" => {
                show(&it.set_path_with_query(call.next::<Option<String>>()?.as_deref()))
            }
            "outgoing-request.scheme" => show(&it.scheme()),
            "outgoing-request.set-scheme" => show(&it.set_scheme(call.next::<Option<_>>()?.as_ref())),
            "outgoing-request.authority" => show(&it.authority()),
            "outgoing-request.set-authority" => {
                show(&it.set_authority(call.next::<Option<String>>()?.as_deref()))
            }
            "outgoing-request.headers" => show(&it.headers().entries()),
            other => return Err(Misunderstood::function(other)),
        })
    }

    fn options(&mut self, name: &str, call: &mut Call) -> Shown {
        if name == "request-options.new" {
            return Ok(self.options.add(RequestOptions::new()));
        }
        let it = self.options.get(call)?;
        Ok(match name {
            "request-options.connect-timeout" => show(&it.connect_timeout()),
            "request-options.set-connect-timeout" => show(&it.set_connect_timeout(call.next()?)),
            "request-options.first-byte-timeout" => show(&it.first_byte_timeout()),
            "request-options.set-first-byte-timeout" => show(&it.set_first_byte_timeout(call.next()?)),
            "request-options.between-bytes-timeout" => show(&it.between_bytes_timeout()),
            "request-options.set-between-bytes-timeout" => show(&it.set_between_bytes_timeout(call.next()?)),
            other => return Err(Misunderstood::function(other)),
        })
    }

    fn exchange(&mut self, name: &str, call: &mut Call, io: &mut Io) -> Shown {
        Ok(match name {
            // The options are the place of some, or none.
            "http/outgoing-handler#handle" => {
                let request = self.requests.take(call)?;
                let options = match call.next::<Option<bool>>()? {
                    Some(_) => Some(self.options.take(call)?),
                    None => None,
                };
                self.futures.keep(handle(request, options))
            }
            "future-incoming-response.subscribe" => io.pollables.add(self.futures.get(call)?.subscribe()),
            "future-incoming-response.get" => match self.futures.get(call)?.get() {
                Some(Ok(response)) => self.responses.keep(response),
                other => show(&other.map(|taken| taken.map(|_| ()))),
            },
            "incoming-response.status" => show(&self.responses.get(call)?.status()),
            "incoming-response.headers" => show(&named(self.responses.get(call)?.headers().entries(), call)?),
            "incoming-response.consume" => {
                let body = self.responses.get(call)?.consume();
                self.bodies.keep(body)
            }
            "incoming-body.stream" => io.inputs.keep(self.bodies.get(call)?.stream()),
            "incoming-body.finish" => {
                let trailers = IncomingBody::finish(self.bodies.take(call)?);
                self.trailers.add(trailers)
            }
            "future-trailers.subscribe" => io.pollables.add(self.trailers.get(call)?.subscribe()),
            "future-trailers.get" => {
                let got = self.trailers.get(call)?.get();
                show(&got.map(|taken| taken.map(|got| got.map(|trailers| trailers.map(|it| it.entries())))))
            }
            "outgoing-body.write" => io.outputs.keep(self.written.get(call)?.write()),
            "outgoing-body.finish" => {
                let body = self.written.take(call)?;
                let trailers = match call.next::<Option<bool>>()? {
                    Some(_) => Some(self.fields.take(call)?),
                    None => None,
                };
                show(&OutgoingBody::finish(body, trailers))
            }
            "http-error-code" => show(&http_error_code(io.errors.get(call)?)),
            other => return Err(Misunderstood::function(other)),
        })
    }
}

/// The values of one name.
fn named(entries: Vec<(String, Vec<u8>)>, call: &mut Call) -> Result<Vec<Value>, Misunderstood> {
    let wanted: String = call.next()?;
    let values = entries.into_iter().filter(|(name, _)| *name == wanted);
    Ok(values.map(|(_, value)| show(&value)).collect())
}
