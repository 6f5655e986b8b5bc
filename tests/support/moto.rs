//! moto, which plays SQS and DynamoDB: a server that keeps everything in memory, started for one scenario on a free port.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};
use aws_sdk_sqs::types::{MessageAttributeValue, QueueAttributeName};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use super::client::get;
use super::daemon::{Builder, Daemon};
use super::guests::cache;
use super::registry::free_port;
use super::wait::until;

pub const REGION: &str = "eu-west-1";
/// What it takes for the account of everybody.
const ACCOUNT: &str = "123456789012";
/// It asks for some, and takes any.
const ACCESS_KEY: &str = "key";
const SECRET_KEY: &str = "secret";

/// A running moto; it ends when dropped.
pub struct Moto {
    directory: TempDir,
    port: u16,
    child: Option<Child>,
}

impl Moto {
    pub async fn start() -> Self {
        let mut server = Self::stopped();
        server.start_again().await;
        server
    }

    /// One that is still to be started, on a port that is known already.
    pub fn stopped() -> Self {
        Self {
            directory: TempDir::new().expect("a temporary directory"),
            port: free_port(),
            child: None,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// A daemon to be started that finds it where others find the real one.
    pub fn daemon(&self) -> Builder {
        self.known_to(Daemon::builder())
    }

    /// The same for one that knows of other servers already.
    pub fn known_to(&self, builder: Builder) -> Builder {
        builder
            .env("AWS_ENDPOINT_URL", self.url())
            .env("AWS_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", ACCESS_KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    }

    /// Ends it, and what it kept with it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it, on the same port as ever.
    pub async fn start_again(&mut self) {
        let log = File::create(self.log()).expect("a log file");
        let child = Command::new(cache().join("servers/bin/moto_server"))
            .args(["-H", "127.0.0.1", "-p", &self.port.to_string()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("moto is installed: tests/setup brings it");
        self.child = Some(child);
        let address = ([127, 0, 0, 1], self.port).into();
        until("moto to answer", async || {
            match get(address, "/moto-api/").await {
                Ok(_) => Ok(()),
                Err(error) => Err(format!(
                    "{error}\n{}",
                    fs::read_to_string(self.log()).unwrap_or_default()
                )),
            }
        })
        .await;
    }

    /// Lets connections and requests come, and answers none.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Answers again.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().expect("it runs").id();
        let pid = Pid::from_raw(id as i32).expect("no process has the id 0");
        kill_process(pid, signal).expect("it runs");
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }
}

/// Queues.
impl Moto {
    /// The URL that a queue has, whether there is one or not.
    pub fn queue(&self, name: &str) -> String {
        format!("{}/{ACCOUNT}/{name}", self.url())
    }

    /// Makes one, whose messages in hand are hidden for that many seconds; answers with its URL.
    pub async fn create_queue(&self, name: &str, visibility: u32) -> String {
        let request = self.sqs().create_queue().queue_name(name);
        request
            .attributes(QueueAttributeName::VisibilityTimeout, visibility.to_string())
            .send()
            .await
            .expect("a queue");
        self.queue(name)
    }

    pub async fn send(&self, queue: &str, body: &str) {
        self.send_with(queue, body, HashMap::new()).await;
    }

    /// The same for one that waits, from so many seconds on.
    pub async fn send_late(&self, queue: &str, body: &str, seconds: i32) {
        let request = self.sqs().send_message().queue_url(self.queue(queue));
        request
            .message_body(body)
            .delay_seconds(seconds)
            .send()
            .await
            .expect("it is taken");
    }

    /// The same with attributes by name.
    pub async fn send_with(
        &self,
        queue: &str,
        body: &str,
        attributes: HashMap<String, MessageAttributeValue>,
    ) {
        let request = self.sqs().send_message().queue_url(self.queue(queue));
        request
            .message_body(body)
            .set_message_attributes(Some(attributes))
            .send()
            .await
            .expect("it is taken");
    }

    /// How many messages wait, and how many are in hand.
    pub async fn messages(&self, queue: &str) -> (u32, u32) {
        let (waiting, in_hand) = (
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        );
        let request = self.sqs().get_queue_attributes().queue_url(self.queue(queue));
        let answer = request
            .attribute_names(waiting.clone())
            .attribute_names(in_hand.clone())
            .send()
            .await
            .expect("the queue is there");
        let attributes = answer.attributes.unwrap_or_default();
        let number = |name| attributes[name].parse().expect("a number");
        (number(&waiting), number(&in_hand))
    }

    /// Waits until so many messages wait, and so many are in hand.
    pub async fn wait_messages(&self, queue: &str, expected: (u32, u32)) {
        until(&format!("{expected:?} messages in {queue}"), async || {
            let found = self.messages(queue).await;
            match found == expected {
                true => Ok(()),
                false => Err(format!("{found:?}")),
            }
        })
        .await;
    }

    fn sqs(&self) -> aws_sdk_sqs::Client {
        let keys = aws_sdk_sqs::config::Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "tests");
        let config = aws_sdk_sqs::Config::builder()
            .behavior_version_latest()
            .region(aws_sdk_sqs::config::Region::new(REGION))
            .endpoint_url(self.url())
            .credentials_provider(keys);
        aws_sdk_sqs::Client::from_conf(config.build())
    }
}

/// Tables.
impl Moto {
    /// One that a store can be kept in.
    pub async fn create_table(&self, name: &str) {
        let attribute = AttributeDefinition::builder()
            .attribute_name("PK")
            .attribute_type(ScalarAttributeType::S);
        let key = KeySchemaElement::builder()
            .attribute_name("PK")
            .key_type(KeyType::Hash);
        let request = self.dynamo().create_table().table_name(name);
        request
            .attribute_definitions(attribute.build().expect("it is complete"))
            .key_schema(key.build().expect("it is complete"))
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .expect("a table");
    }

    /// Everything in a table, by its items' names, as the service has it.
    pub async fn items(&self, table: &str) -> BTreeMap<String, AttributeValue> {
        let answer = self.dynamo().scan().table_name(table).send().await;
        let items = answer.expect("the table is there").items.unwrap_or_default();
        let items = items.into_iter().map(|mut item| {
            let name = item.remove("PK").expect("every item has a name");
            let value = item.remove("VAL").expect("every item has a value");
            assert!(item.is_empty(), "{item:?}");
            (name.as_s().expect("text").clone(), value)
        });
        items.collect()
    }

    /// The text of one item's bytes.
    pub async fn text(&self, table: &str, name: &str) -> Option<String> {
        let value = self.items(table).await.remove(name)?;
        let bytes = value.as_b().expect("bytes").clone().into_inner();
        Some(String::from_utf8(bytes).expect("text"))
    }

    /// Writes an item as something else than a store may.
    pub async fn put(&self, table: &str, name: &str, value: AttributeValue) {
        let request = self.dynamo().put_item().table_name(table);
        request
            .item("PK", AttributeValue::S(name.into()))
            .item("VAL", value)
            .send()
            .await
            .expect("it is taken");
    }

    fn dynamo(&self) -> aws_sdk_dynamodb::Client {
        let keys = aws_sdk_dynamodb::config::Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "tests");
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version_latest()
            .region(aws_sdk_dynamodb::config::Region::new(REGION))
            .endpoint_url(self.url())
            .credentials_provider(keys);
        aws_sdk_dynamodb::Client::from_conf(config.build())
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        self.stop();
    }
}
