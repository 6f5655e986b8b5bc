//! SQLite, MySQL and PostgreSQL.

use calls::{Call, Handles, Misunderstood, show};

use crate::Shown;
use crate::bindings::fermyon::spin2_0_0::{mysql, postgres, sqlite};
use crate::bindings::spin::postgres3_0_0::postgres as postgres3;
use crate::stores::drop_it;

#[derive(Default)]
pub struct Databases {
    mysql: Handles<mysql::Connection>,
    postgres2: Handles<postgres::Connection>,
    postgres3: Handles<postgres3::Connection>,
    postgres4: Handles<spin_sdk::pg4::Connection>,
    sqlite2: Handles<sqlite::Connection>,
    sqlite3: Handles<spin_sdk::sqlite3::Connection>,
}

/// The three functions that every one of them has.
macro_rules! database {
    ($call:ident, $connections:expr, $open:expr) => {
        Ok(match $call.function.as_str() {
            "open" => $connections.keep($open(&$call.next::<String>()?)),
            "query" => show(
                &$connections
                    .get($call)?
                    .query(&$call.next::<String>()?, &$call.next::<Vec<_>>()?),
            ),
            "execute" => show(
                &$connections
                    .get($call)?
                    .execute(&$call.next::<String>()?, &$call.next::<Vec<_>>()?),
            ),
            "drop" => drop_it($connections.take($call)?),
            other => return Err(Misunderstood::function(other)),
        })
    };
}

impl Databases {
    pub fn mysql(&mut self, call: &mut Call) -> Shown {
        database!(call, self.mysql, mysql::Connection::open)
    }

    pub fn postgres2(&mut self, call: &mut Call) -> Shown {
        database!(call, self.postgres2, postgres::Connection::open)
    }

    pub fn postgres3(&mut self, call: &mut Call) -> Shown {
        database!(call, self.postgres3, postgres3::Connection::open)
    }

    pub fn sqlite2(&mut self, call: &mut Call) -> Shown {
        let connections = &mut self.sqlite2;
        Ok(match call.function.as_str() {
            "open" => connections.keep(sqlite::Connection::open(&call.next::<String>()?)),
            "execute" => show(
                &connections
                    .get(call)?
                    .execute(&call.next::<String>()?, &call.next::<Vec<_>>()?),
            ),
            "drop" => drop_it(connections.take(call)?),
            other => return Err(Misunderstood::function(other)),
        })
    }

    /// The SDK's own types: what came back is told as Rust shows it.
    pub fn postgres4(&mut self, call: &mut Call) -> Shown {
        let connections = &mut self.postgres4;
        Ok(match call.function.as_str() {
            "open" => {
                let opened = spin_sdk::pg4::Connection::open(&call.next::<String>()?);
                connections.keep(opened.map_err(|error| format!("{error:?}")))
            }
            "query" => {
                let connection = connections.get(call)?;
                format!("{:?}", connection.query(&call.next::<String>()?, &[])).into()
            }
            "execute" => {
                let connection = connections.get(call)?;
                format!("{:?}", connection.execute(&call.next::<String>()?, &[])).into()
            }
            other => return Err(Misunderstood::function(other)),
        })
    }

    /// The same for SQLite.
    pub fn sqlite3(&mut self, call: &mut Call) -> Shown {
        let connections = &mut self.sqlite3;
        Ok(match call.function.as_str() {
            "open" => {
                let opened = spin_sdk::sqlite3::Connection::open(&call.next::<String>()?);
                connections.keep(opened.map_err(|error| format!("{error:?}")))
            }
            "execute" => {
                let connection = connections.get(call)?;
                let result = connection.execute(&call.next::<String>()?, &[]);
                let told = result.map(|result| {
                    let rows: Vec<_> = result.rows.into_iter().map(|row| row.values).collect();
                    (result.columns, rows)
                });
                format!("{told:?}").into()
            }
            "last-insert-rowid" => show(&connections.get(call)?.last_insert_rowid()),
            "changes" => show(&connections.get(call)?.changes()),
            other => return Err(Misunderstood::function(other)),
        })
    }
}
