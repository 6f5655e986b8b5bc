use super::super::connection::RowResult;
use super::testing::LibsqlDouble;
use super::*;
use crate::host::sqlite::testing::{execute, rows, value};

const TOKEN: &str = "s3cret";

fn database(url: &str, token: &str) -> LibsqlDatabase {
    // As main does; a second time is refused and harmless.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let url = address(url).unwrap();
    let client = client(is_loopback(&url)).unwrap();
    LibsqlDatabase::new(client, &url, &Secret::new(token)).unwrap()
}

fn connect(server: &LibsqlDouble) -> Arc<dyn Connection> {
    database(&server.url(), TOKEN).connect()
}

#[tokio::test]
async fn every_type_goes_to_the_server_and_back() {
    let server = LibsqlDouble::start(TOKEN);
    let connection = connect(&server);
    let values = vec![
        Value::Integer(i64::MIN),
        Value::Integer(i64::MAX),
        Value::Real(-1.5e300),
        Value::Real(0.1 + 0.2),
        Value::Text("ein\0 \"Wort\" \u{1F600}".into()),
        Value::Text(String::new()),
        Value::Blob((0..=255).collect()),
        Value::Blob(Vec::new()),
        Value::Null,
    ];
    let sql = "SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 AS last";
    let result = connection.execute(sql.into(), values.clone()).await.unwrap();
    assert_eq!(result.columns.last().unwrap(), "last");
    let [RowResult { values: returned }] = &result.rows[..] else {
        panic!("{result:?}");
    };
    assert_eq!(format!("{returned:?}"), format!("{values:?}"));
}

#[tokio::test]
async fn what_json_has_no_number_for_is_null_or_refused() {
    let server = LibsqlDouble::start(TOKEN);
    let connection = connect(&server);
    let nan = connection
        .execute("SELECT ?".into(), vec![Value::Real(f64::NAN)])
        .await;
    assert_eq!(value(nan), "Null");
    let infinite = connection
        .execute("SELECT ?".into(), vec![Value::Real(f64::INFINITY)])
        .await;
    assert_eq!(
        format!("{:?}", infinite.unwrap_err()),
        "Error::Io(\"an infinite number can't be sent to a libSQL server: JSON has none\")"
    );
}

#[tokio::test]
async fn statements_of_one_connection_share_a_transaction() {
    let server = LibsqlDouble::start(TOKEN);
    let (first, second) = (connect(&server), connect(&server));
    execute(&*first, "CREATE TABLE t (a)").await.unwrap();
    execute(&*first, "BEGIN").await.unwrap();
    execute(&*first, "INSERT INTO t VALUES (7), (8)").await.unwrap();
    assert_eq!(first.changes().await.unwrap(), 2);
    assert_eq!(first.last_insert_rowid().await.unwrap(), 2);
    assert_eq!(
        value(execute(&*second, "SELECT count(*) FROM t").await),
        "Integer(0)"
    );
    execute(&*first, "COMMIT").await.unwrap();
    assert_eq!(
        value(execute(&*second, "SELECT count(*) FROM t").await),
        "Integer(2)"
    );
}

#[tokio::test]
async fn a_connection_closes_its_stream_when_it_is_dropped() {
    let server = LibsqlDouble::start(TOKEN);
    let connection = connect(&server);
    execute(&*connection, "CREATE TABLE t (a)").await.unwrap();
    execute(&*connection, "BEGIN IMMEDIATE").await.unwrap();
    assert_eq!(server.open_streams(), 1);
    drop(connection);
    while server.open_streams() > 0 {
        tokio::task::yield_now().await;
    }
    execute(&*connect(&server), "INSERT INTO t VALUES (1)")
        .await
        .unwrap();
}

#[tokio::test]
async fn an_expired_stream_is_begun_anew_outside_of_a_transaction() {
    let server = LibsqlDouble::start(TOKEN);
    let connection = connect(&server);
    execute(&*connection, "CREATE TABLE t (a)").await.unwrap();
    server.expire_streams();
    execute(&*connection, "INSERT INTO t VALUES (1)").await.unwrap();
    assert_eq!(
        value(execute(&*connection, "SELECT count(*) FROM t").await),
        "Integer(1)"
    );
}

#[tokio::test]
async fn an_expired_stream_inside_of_a_transaction_is_an_error() {
    let server = LibsqlDouble::start(TOKEN);
    let connection = connect(&server);
    execute(&*connection, "BEGIN").await.unwrap();
    server.expire_streams();
    assert_eq!(
        rows(execute(&*connection, "SELECT 1").await),
        "Error::Io(\"The stream has expired due to inactivity\")"
    );
    // The guest knows, and goes on.
    assert_eq!(value(execute(&*connection, "SELECT 1").await), "Integer(1)");
}

#[tokio::test]
async fn a_statement_given_up_inside_of_a_transaction_is_told_of_once() {
    let server = LibsqlDouble::start(TOKEN);
    let connection = connect(&server);
    execute(&*connection, "BEGIN").await.unwrap();
    let before = server.requests();
    {
        let mut statement = std::pin::pin!(execute(&*connection, "SELECT 1"));
        while server.requests() == before {
            assert!(futures::poll!(&mut statement).is_pending());
            tokio::task::yield_now().await;
        }
    }
    let next = rows(execute(&*connection, "SELECT 2").await);
    assert!(next.starts_with("Error::Io(\"the transaction was lost"), "{next}");
    assert_eq!(value(execute(&*connection, "SELECT 3").await), "Integer(3)");
}

#[tokio::test]
async fn the_servers_own_words_reach_the_guest() {
    let server = LibsqlDouble::start(TOKEN);
    let error = execute(&*connect(&server), "SELECT * FROM t").await;
    assert!(rows(error).contains("no such table: t"));
    let stranger = database(&server.url(), "another").connect();
    assert_eq!(
        rows(execute(&*stranger, "SELECT 1").await),
        "Error::Io(\"the token is wrong\")"
    );
}

#[tokio::test]
async fn a_server_that_is_down_is_an_error_and_used_again_when_it_is_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let connection = database(&format!("http://{address}"), TOKEN).connect();
    let error = rows(execute(&*connection, "SELECT 1").await);
    assert!(
        error.starts_with("Error::Io(\"the libSQL server can't be reached: "),
        "{error}"
    );
    assert!(!error.contains(&address.port().to_string()), "{error}");
}

#[tokio::test]
async fn rows_read_one_by_one_have_their_end_at_once() {
    let server = LibsqlDouble::start(TOKEN);
    let rows = connect(&server).query("SELECT 1 AS one".into(), Vec::new()).await;
    assert_eq!(rows.columns, ["one"]);
    assert_eq!(rows.first.rows.len(), 1);
    assert!(matches!(rows.first.end, Some(Ok(()))));
}

#[test]
fn addresses_are_http() {
    assert_eq!(
        address("libsql://db.example.org").unwrap().as_str(),
        "https://db.example.org/"
    );
    let error = address("ftp://db.example.org").unwrap_err();
    assert!(error.contains("has the scheme `ftp`"), "{error}");
    assert!(address("db").unwrap_err().contains("write https://HOST"));
    assert!(is_loopback(&address("http://[::1]:8080").unwrap()));
    assert!(!is_loopback(&address("http://10.0.0.1").unwrap()));
}
