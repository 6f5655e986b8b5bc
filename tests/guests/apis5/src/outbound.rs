//! Redis, MQTT, language models and HTTP.

use calls::{Call, Handles, Misunderstood, show};
use serde_json::json;
use spin_sdk::http::{Request, Response, SendError, send};

use crate::Shown;
use crate::bindings::fermyon::spin2_0_0::{llm, mqtt, redis};
use crate::stores::{drop_it, sorted};

#[derive(Default)]
pub struct Outbound {
    redis: Handles<redis::Connection>,
    mqtt: Handles<mqtt::Connection>,
}

impl Outbound {
    pub fn redis(&mut self, call: &mut Call) -> Shown {
        if call.function == "open" {
            return Ok(self.redis.keep(redis::Connection::open(&call.next::<String>()?)));
        }
        if call.function == "drop" {
            return Ok(drop_it(self.redis.take(call)?));
        }
        let redis = self.redis.get(call)?;
        let first: serde_json::Value = call.next()?;
        let name = first.as_str().unwrap_or_default();
        Ok(match call.function.as_str() {
            "publish" => show(&redis.publish(name, &call.next::<Vec<u8>>()?)),
            "get" => show(&redis.get(name)),
            "set" => show(&redis.set(name, &call.next::<Vec<u8>>()?)),
            "incr" => show(&redis.incr(name)),
            "del" => show(&redis.del(&strings(&first))),
            "sadd" => show(&redis.sadd(name, &call.next::<Vec<_>>()?)),
            "smembers" => show(&redis.smembers(name).map(sorted)),
            "srem" => show(&redis.srem(name, &call.next::<Vec<_>>()?)),
            "execute" => show(&redis.execute(name, &call.next::<Vec<_>>()?)),
            other => return Err(Misunderstood::function(other)),
        })
    }

    pub fn mqtt(&mut self, call: &mut Call) -> Shown {
        Ok(match call.function.as_str() {
            "open" => self.mqtt.keep(mqtt::Connection::open(
                &call.next::<String>()?,
                &call.next::<String>()?,
                &call.next::<String>()?,
                call.next()?,
            )),
            "publish" => {
                let connection = self.mqtt.get(call)?;
                let (topic, payload): (String, Vec<u8>) = (call.next()?, call.next()?);
                show(&connection.publish(&topic, &payload, call.next()?))
            }
            "drop" => drop_it(self.mqtt.take(call)?),
            other => return Err(Misunderstood::function(other)),
        })
    }
}

pub fn llm(call: &mut Call) -> Shown {
    let model: String = call.next()?;
    Ok(match call.function.as_str() {
        "infer" => show(&llm::infer(&model, &call.next::<String>()?, call.next()?)),
        "generate-embeddings" => show(&llm::generate_embeddings(&model, &call.next::<Vec<_>>()?)),
        other => return Err(Misunderstood::function(other)),
    })
}

/// `GET` of an address: status and body, or the error's code.
pub async fn http(call: &mut Call) -> Shown {
    let url: String = call.next()?;
    let answer: Result<Response, SendError> = send(Request::get(url)).await;
    Ok(match answer {
        Ok(answer) => {
            json!({"ok": {"status": answer.status(), "body": String::from_utf8_lossy(answer.body())}})
        }
        Err(SendError::Http(code)) => json!({"err": format!("{code:?}")}),
        Err(other) => return Err(Misunderstood::new(other.to_string())),
    })
}

fn strings(value: &serde_json::Value) -> Vec<String> {
    let values = value.as_array().into_iter().flatten();
    values
        .filter_map(|value| value.as_str().map(String::from))
        .collect()
}
