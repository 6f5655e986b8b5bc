//! `wasi:io`.

use calls::{Call, Handles, Misunderstood, show};
use serde::Serialize;
use serde_json::{Value, json};

use crate::Shown;
use crate::bindings::wasi::io::error::Error;
use crate::bindings::wasi::io::poll::{Pollable, poll};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};

#[derive(Default)]
pub struct Io {
    pub pollables: Handles<Pollable>,
    pub inputs: Handles<InputStream>,
    pub outputs: Handles<OutputStream>,
    pub errors: Handles<Error>,
}

impl Io {
    pub fn call(&mut self, call: &mut Call) -> Shown {
        Ok(match call.function.as_str() {
            "io/error#error.to-debug-string" => show(&self.errors.get(call)?.to_debug_string()),
            "io/poll#pollable.ready" => show(&self.pollables.get(call)?.ready()),
            "io/poll#pollable.block" => show(&self.pollables.get(call)?.block()),
            "io/poll#poll" => {
                let one = self.pollables.get(call)?;
                show(&poll(&[one, self.pollables.get(call)?]))
            }
            function if function.contains("#input-stream.") => return self.input(call),
            _ => return self.output(call),
        })
    }

    fn input(&mut self, call: &mut Call) -> Shown {
        let name = call
            .function
            .trim_start_matches("io/streams#input-stream.")
            .to_owned();
        if name == "drop" {
            drop(self.inputs.take(call)?);
            return Ok(Value::Null);
        }
        let stream = self.inputs.get(call)?;
        let result = match name.as_str() {
            "read" => stream.read(call.next()?).map(|bytes| show(&bytes)),
            "blocking-read" => stream.blocking_read(call.next()?).map(|bytes| show(&bytes)),
            "skip" => stream.skip(call.next()?).map(Value::from),
            "blocking-skip" => stream.blocking_skip(call.next()?).map(Value::from),
            "subscribe" => {
                let pollable = stream.subscribe();
                return Ok(self.pollables.add(pollable));
            }
            _ => return Err(Misunderstood::function(&call.function)),
        };
        Ok(self.told(result))
    }

    fn output(&mut self, call: &mut Call) -> Shown {
        let name = call
            .function
            .trim_start_matches("io/streams#output-stream.")
            .to_owned();
        if name == "drop" {
            drop(self.outputs.take(call)?);
            return Ok(Value::Null);
        }
        let stream = self.outputs.get(call)?;
        let nothing = |()| Value::Null;
        let result = match name.as_str() {
            "check-write" => stream.check_write().map(Value::from),
            "write" => stream.write(&call.next::<Vec<u8>>()?).map(nothing),
            "blocking-write-and-flush" => stream
                .blocking_write_and_flush(&call.next::<Vec<u8>>()?)
                .map(nothing),
            "flush" => stream.flush().map(nothing),
            "blocking-flush" => stream.blocking_flush().map(nothing),
            "write-zeroes" => stream.write_zeroes(call.next()?).map(nothing),
            "blocking-write-zeroes-and-flush" => {
                stream.blocking_write_zeroes_and_flush(call.next()?).map(nothing)
            }
            "splice" => stream
                .splice(self.inputs.get(call)?, call.next()?)
                .map(Value::from),
            "blocking-splice" => stream
                .blocking_splice(self.inputs.get(call)?, call.next()?)
                .map(Value::from),
            "subscribe" => {
                let pollable = stream.subscribe();
                return Ok(self.pollables.add(pollable));
            }
            _ => return Err(Misunderstood::function(&call.function)),
        };
        Ok(self.told(result))
    }

    /// Keeps the error's resource, too.
    fn told<T: Serialize>(&mut self, result: Result<T, StreamError>) -> Value {
        match result {
            Ok(value) => json!({"ok": show(&value)}),
            Err(StreamError::Closed) => json!({"err": "closed"}),
            Err(StreamError::LastOperationFailed(error)) => {
                json!({"err": {"last-operation-failed": self.errors.add(error)}})
            }
        }
    }
}
