//! MySQL and PostgreSQL.

use calls::{Call, Handles, Misunderstood, show};

use crate::Shown;
use crate::bindings::spin::mysql::mysql;
use crate::bindings::spin::postgres4_2_0::postgres::{self, ConnectionBuilder};
use crate::{drop_it, streamed};

#[derive(Default)]
pub struct Databases {
    mysql: Handles<mysql::Connection>,
    postgres: Handles<postgres::Connection>,
    builders: Handles<ConnectionBuilder>,
}

impl Databases {
    pub async fn mysql(&mut self, call: &mut Call) -> Shown {
        let connections = &mut self.mysql;
        Ok(match call.function.as_str() {
            "open" => connections.keep(mysql::Connection::open(call.next()?).await),
            "query" => streamed!(connections.get(call)?.query(call.next()?, call.next()?).await),
            "execute" => show(&connections.get(call)?.execute(call.next()?, call.next()?).await),
            "drop" => drop_it(connections.take(call)?),
            other => return Err(Misunderstood::function(other)),
        })
    }

    pub async fn postgres(&mut self, call: &mut Call) -> Shown {
        let (connections, builders) = (&mut self.postgres, &mut self.builders);
        Ok(match call.function.as_str() {
            "open" => connections.keep(postgres::Connection::open(&call.next::<String>()?)),
            "open-async" => connections.keep(postgres::Connection::open_async(call.next()?).await),
            "query" => show(
                &connections
                    .get(call)?
                    .query(&call.next::<String>()?, &call.next::<Vec<_>>()?),
            ),
            "query-async" => streamed!(
                connections
                    .get(call)?
                    .query_async(call.next()?, call.next()?)
                    .await
            ),
            "execute" => show(
                &connections
                    .get(call)?
                    .execute(&call.next::<String>()?, &call.next::<Vec<_>>()?),
            ),
            "execute-async" => show(
                &connections
                    .get(call)?
                    .execute_async(call.next()?, call.next()?)
                    .await,
            ),
            "connection-builder" => {
                builders.keep(Ok::<_, ()>(ConnectionBuilder::new(&call.next::<String>()?)))
            }
            "set-ca-root" => show(&builders.get(call)?.set_ca_root(&call.next::<String>()?)),
            "build" => connections.keep(builders.get(call)?.build()),
            "build-async" => connections.keep(builders.get(call)?.build_async().await),
            "drop" => drop_it(connections.take(call)?),
            other => return Err(Misunderstood::function(other)),
        })
    }
}
