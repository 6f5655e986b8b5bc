//! `wasi:http`, requests that go out.

use calls::{Call, Handles, Misunderstood, show};
use serde_json::{Value, json};
use wit_bindgen::FutureReader;

use crate::bindings::wasi::http::client::send;
use crate::bindings::wasi::http::types::{ErrorCode, Fields, Request, RequestOptions, Response};
use crate::bindings::wit_future;
use crate::{Shown, inbound, stream, text};

#[derive(Default)]
pub struct Http {
    responses: Handles<Response>,
    requests: Handles<Request>,
    sent: Handles<FutureReader<Result<(), ErrorCode>>>,
    options: Handles<RequestOptions>,
    fields: Handles<Fields>,
}

impl Http {
    pub async fn call(&mut self, call: &mut Call) -> Shown {
        let function = call.function.clone();
        let name = function.trim_start_matches("http/types#");
        match name.split('.').next().unwrap_or_default() {
            "fields" => self.fields(name, call),
            "request" => self.request(name, call).await,
            "request-options" => self.options(name, call),
            _ => self.response(name, call).await,
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
            "fields.get-and-delete" => show(&it.get_and_delete(&call.next::<String>()?)),
            "fields.append" => show(&it.append(&call.next::<String>()?, &call.next::<Vec<u8>>()?)),
            "fields.copy-all" => show(&it.copy_all()),
            "fields.clone" => {
                let cloned = it.clone();
                self.fields.add(cloned)
            }
            other => return Err(Misunderstood::function(other)),
        })
    }

    async fn request(&mut self, name: &str, call: &mut Call) -> Shown {
        match name {
            // Headers, a body or none, trailers or none, options or none.
            "request.new" => {
                let headers = self.fields.take(call)?;
                let contents = call.next::<Option<Vec<u8>>>()?.map(stream);
                let trailers = match call.next::<Option<bool>>()? {
                    Some(_) => Some(self.fields.take(call)?),
                    None => None,
                };
                let (ending, trailers_reader) = wit_future::new(|| Ok(None));
                wit_bindgen::spawn(async move { drop(ending.write(Ok(trailers)).await) });
                let options = match call.next::<Option<bool>>()? {
                    Some(_) => Some(self.options.take(call)?),
                    None => None,
                };
                let (request, sent) = Request::new(headers, contents, trailers_reader, options);
                self.sent.add(sent);
                return Ok(self.requests.add(request));
            }
            // The future that `request.new` gave.
            "request.new.sent" => return Ok(show(&self.sent.take(call)?.await)),
            _ => {}
        }
        let it = self.requests.get(call)?;
        Ok(match name {
            "request.get-method" => show(&it.get_method()),
            "request.set-method" => show(&it.set_method(&call.next()?)),
            "request.get-path-with-query" => show(&it.get_path_with_query()),
            "request.set-path-with-query" => {
                show(&it.set_path_with_query(call.next::<Option<String>>()?.as_deref()))
            }
            "request.get-scheme" => show(&it.get_scheme()),
            "request.set-scheme" => show(&it.set_scheme(call.next::<Option<_>>()?.as_ref())),
            "request.get-authority" => show(&it.get_authority()),
            "request.set-authority" => show(&it.set_authority(call.next::<Option<String>>()?.as_deref())),
            "request.get-options" => {
                let options = it.get_options();
                show(&options.map(|options| options.set_connect_timeout(None)))
            }
            "request.get-headers" => show(&it.get_headers().copy_all()),
            other => return Err(Misunderstood::function(other)),
        })
    }

    fn options(&mut self, name: &str, call: &mut Call) -> Shown {
        if name == "request-options.new" {
            return Ok(self.options.add(RequestOptions::new()));
        }
        let it = self.options.get(call)?;
        Ok(match name {
            "request-options.get-connect-timeout" => show(&it.get_connect_timeout()),
            "request-options.set-connect-timeout" => show(&it.set_connect_timeout(call.next()?)),
            "request-options.get-first-byte-timeout" => show(&it.get_first_byte_timeout()),
            "request-options.set-first-byte-timeout" => show(&it.set_first_byte_timeout(call.next()?)),
            "request-options.get-between-bytes-timeout" => show(&it.get_between_bytes_timeout()),
            "request-options.set-between-bytes-timeout" => show(&it.set_between_bytes_timeout(call.next()?)),
            "request-options.clone" => {
                let cloned = it.clone();
                self.options.add(cloned)
            }
            other => return Err(Misunderstood::function(other)),
        })
    }

    async fn response(&mut self, name: &str, call: &mut Call) -> Shown {
        Ok(match name {
            "http/client#send" => {
                let response = send(self.requests.take(call)?).await;
                self.responses.keep(response)
            }
            "response.get-status-code" => show(&self.responses.get(call)?.get_status_code()),
            "response.get-headers" => {
                let entries = self.responses.get(call)?.get_headers().copy_all();
                let wanted: String = call.next()?;
                let values = entries.into_iter().filter(|(name, _)| *name == wanted);
                show(&values.map(|(_, value)| show(&value)).collect::<Vec<_>>())
            }
            "response.consume-body" => {
                let response = self.responses.take(call)?;
                let (body, ended) = Response::consume_body(response, inbound::no_error());
                body_of(body.collect().await, ended.await)
            }
            other => return Err(Misunderstood::function(other)),
        })
    }
}

/// A body as text, and what came after it.
fn body_of(bytes: Vec<u8>, ended: Result<Option<Fields>, ErrorCode>) -> Value {
    json!([
        text(&bytes),
        show(&ended.map(|trailers| trailers.map(|it| it.copy_all())))
    ])
}
