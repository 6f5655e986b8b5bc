//! Key-value stores and configuration.

use calls::{Call, Handles, Misunderstood, show};
use serde_json::json;

use crate::Shown;
use crate::bindings::fermyon::spin2_0_0 as v2;
use crate::bindings::wasi::config::store as config;
use crate::bindings::wasi::keyvalue::atomics::{self, Cas, CasError};
use crate::bindings::wasi::keyvalue::store::Bucket;
use crate::bindings::wasi::keyvalue::{batch, store};

#[derive(Default)]
pub struct Stores {
    stores: Handles<v2::key_value::Store>,
    buckets: Handles<Bucket>,
    cas: Handles<Cas>,
}

impl Stores {
    pub fn key_value(&mut self, call: &mut Call) -> Shown {
        let stores = &mut self.stores;
        Ok(match call.function.as_str() {
            "open" => stores.keep(v2::key_value::Store::open(&call.next::<String>()?)),
            "get" => show(&stores.get(call)?.get(&call.next::<String>()?)),
            "set" => show(
                &stores
                    .get(call)?
                    .set(&call.next::<String>()?, &call.next::<Vec<u8>>()?),
            ),
            "delete" => show(&stores.get(call)?.delete(&call.next::<String>()?)),
            "exists" => show(&stores.get(call)?.exists(&call.next::<String>()?)),
            "get-keys" => show(&stores.get(call)?.get_keys().map(sorted)),
            "drop" => drop_it(stores.take(call)?),
            other => return Err(Misunderstood::function(other)),
        })
    }

    /// Functions of `batch` and `atomics` as well; those of `cas` begin with its name.
    pub fn wasi(&mut self, call: &mut Call) -> Shown {
        let buckets = &mut self.buckets;
        Ok(match call.function.as_str() {
            "open" => buckets.keep(store::open(&call.next::<String>()?)),
            "get" => show(&buckets.get(call)?.get(&call.next::<String>()?)),
            "set" => show(
                &buckets
                    .get(call)?
                    .set(&call.next::<String>()?, &call.next::<Vec<u8>>()?),
            ),
            "delete" => show(&buckets.get(call)?.delete(&call.next::<String>()?)),
            "exists" => show(&buckets.get(call)?.exists(&call.next::<String>()?)),
            "list-keys" => {
                let bucket = buckets.get(call)?;
                let cursor: Option<String> = call.next()?;
                let listed = bucket.list_keys(cursor.as_deref());
                show(&listed.map(|mut response| {
                    response.keys.sort();
                    response
                }))
            }
            "get-many" => {
                let got = batch::get_many(buckets.get(call)?, &call.next::<Vec<_>>()?);
                show(&got.map(|mut values| {
                    values.sort();
                    values
                }))
            }
            "set-many" => show(&batch::set_many(buckets.get(call)?, &call.next::<Vec<_>>()?)),
            "delete-many" => show(&batch::delete_many(buckets.get(call)?, &call.next::<Vec<_>>()?)),
            "increment" => show(&atomics::increment(
                buckets.get(call)?,
                &call.next::<String>()?,
                call.next()?,
            )),
            "cas.new" => {
                let made = Cas::new(buckets.get(call)?, &call.next::<String>()?);
                self.cas.keep(made)
            }
            "cas.current" => show(&self.cas.get(call)?.current()),
            "swap" => match atomics::swap(self.cas.take(call)?, &call.next::<Vec<u8>>()?) {
                Ok(()) => json!({"ok": null}),
                Err(CasError::StoreError(error)) => json!({"err": {"store-error": show(&error)}}),
                Err(CasError::CasFailed(cas)) => {
                    let place = self.cas.keep(Ok::<_, ()>(cas));
                    json!({"err": {"cas-failed": place["ok"]}})
                }
            },
            other => return Err(Misunderstood::function(other)),
        })
    }
}

pub fn variables(call: &mut Call) -> Shown {
    Ok(match call.function.as_str() {
        "get" => show(&v2::variables::get(&call.next::<String>()?)),
        other => return Err(Misunderstood::function(other)),
    })
}

pub fn config(call: &mut Call) -> Shown {
    Ok(match call.function.as_str() {
        "get" => show(&config::get(&call.next::<String>()?)),
        "get-all" => show(&config::get_all().map(|mut all| {
            all.sort();
            all
        })),
        other => return Err(Misunderstood::function(other)),
    })
}

/// Dropping says nothing.
pub fn drop_it<T>(resource: T) -> serde_json::Value {
    drop(resource);
    serde_json::Value::Null
}

/// No order of keys and members is promised.
pub fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}
