//! Redis, MQTT and HTTP.

use calls::{Call, Handles, Misunderstood, show};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use spin_sdk::http::{EmptyBody, Request, send};

use crate::bindings::spin::mqtt::mqtt;
use crate::bindings::spin::redis::redis;
use crate::{Shown, drop_it, sorted};

#[derive(Default)]
pub struct Outbound {
    redis: Handles<redis::Connection>,
    mqtt: Handles<mqtt::Connection>,
}

impl Outbound {
    pub async fn redis(&mut self, call: &mut Call) -> Shown {
        if call.function == "open" {
            let opened = redis::Connection::open(call.next()?).await;
            return Ok(self.redis.keep(opened));
        }
        if call.function == "drop" {
            return Ok(drop_it(self.redis.take(call)?));
        }
        let redis = self.redis.get(call)?;
        Ok(match call.function.as_str() {
            "publish" => show(&redis.publish(call.next()?, call.next()?).await),
            "get" => show(&redis.get(call.next()?).await),
            "set" => show(&redis.set(call.next()?, call.next()?).await),
            "incr" => show(&redis.incr(call.next()?).await),
            "del" => show(&redis.del(call.next()?).await),
            "sadd" => show(&redis.sadd(call.next()?, call.next()?).await),
            "smembers" => show(&redis.smembers(call.next()?).await.map(sorted)),
            "srem" => show(&redis.srem(call.next()?, call.next()?).await),
            "execute" => show(&redis.execute(call.next()?, call.next()?).await),
            other => return Err(Misunderstood::function(other)),
        })
    }

    pub async fn mqtt(&mut self, call: &mut Call) -> Shown {
        Ok(match call.function.as_str() {
            "open" => {
                let (address, user, password, alive) =
                    (call.next()?, call.next()?, call.next()?, call.next()?);
                let opened = mqtt::Connection::open(address, user, password, alive).await;
                self.mqtt.keep(opened)
            }
            "publish" => {
                let connection = self.mqtt.get(call)?;
                let (topic, payload, qos) = (call.next()?, call.next()?, call.next()?);
                show(&connection.publish(topic, payload, qos).await)
            }
            "drop" => drop_it(self.mqtt.take(call)?),
            other => return Err(Misunderstood::function(other)),
        })
    }
}

/// `GET` of an address: status and body, or the error's code.
pub async fn http(call: &mut Call) -> Shown {
    let url: String = call.next()?;
    let request = Request::get(url).body(EmptyBody::new());
    let request = request.map_err(|error| Misunderstood::new(error.to_string()))?;
    Ok(match send(request).await {
        Ok(answer) => {
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await;
            let body = body.map(|body| String::from_utf8_lossy(&body.to_bytes()).into_owned());
            json!({"ok": {"status": status, "body": body.unwrap_or_else(|error| format!("{error:?}"))}})
        }
        Err(error) => json!({"err": Value::String(format!("{error:?}"))}),
    })
}
