//! SQLite.

use calls::{Call, Handles, Misunderstood, show};

use crate::bindings::spin::sqlite::sqlite;
use crate::{Shown, drop_it, streamed};

#[derive(Default)]
pub struct Databases {
    connections: Handles<sqlite::Connection>,
}

impl Databases {
    pub async fn sqlite(&mut self, call: &mut Call) -> Shown {
        let connections = &mut self.connections;
        Ok(match call.function.as_str() {
            "open" => connections.keep(sqlite::Connection::open(&call.next::<String>()?)),
            "open-async" => connections.keep(sqlite::Connection::open_async(call.next()?).await),
            "execute" => show(
                &connections
                    .get(call)?
                    .execute(&call.next::<String>()?, &call.next::<Vec<_>>()?),
            ),
            "execute-async" => streamed!(
                connections
                    .get(call)?
                    .execute_async(call.next()?, call.next()?)
                    .await
            ),
            "last-insert-rowid" => show(&connections.get(call)?.last_insert_rowid()),
            "last-insert-rowid-async" => show(&connections.get(call)?.last_insert_rowid_async().await),
            "changes" => show(&connections.get(call)?.changes()),
            "changes-async" => show(&connections.get(call)?.changes_async().await),
            "drop" => drop_it(connections.take(call)?),
            other => return Err(Misunderstood::function(other)),
        })
    }
}
