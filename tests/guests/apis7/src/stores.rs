//! Key-value stores and variables.

use calls::{Call, Handles, Misunderstood, show};

use crate::bindings::spin::key_value::key_value::Store;
use crate::bindings::spin::variables::variables;
use crate::{Shown, drop_it, sorted};

#[derive(Default)]
pub struct Stores {
    stores: Handles<Store>,
}

impl Stores {
    pub async fn key_value(&mut self, call: &mut Call) -> Shown {
        let stores = &mut self.stores;
        Ok(match call.function.as_str() {
            "open" => stores.keep(Store::open(call.next()?).await),
            "get" => show(&stores.get(call)?.get(call.next()?).await),
            "set" => show(&stores.get(call)?.set(call.next()?, call.next()?).await),
            "delete" => show(&stores.get(call)?.delete(call.next()?).await),
            "exists" => show(&stores.get(call)?.exists(call.next()?).await),
            "get-keys" => {
                let (keys, done) = stores.get(call)?.get_keys().await;
                let keys = keys.collect().await;
                show(&done.await.map(|()| sorted(keys)))
            }
            "drop" => drop_it(stores.take(call)?),
            other => return Err(Misunderstood::function(other)),
        })
    }
}

pub async fn variables(call: &mut Call) -> Shown {
    Ok(match call.function.as_str() {
        "get" => show(&variables::get(call.next()?).await),
        other => return Err(Misunderstood::function(other)),
    })
}
