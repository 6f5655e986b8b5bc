//! Chromium, as its user would use it: driven by WebDriver, with a profile of its own.

use std::fs::File;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Method, header};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::client::{Connection, request};
use super::registry::free_port;
use super::wait::until;

/// What the protocol calls a reference to an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";
const ARGUMENTS: [&str; 8] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A window; it is closed when dropped.
pub struct Browser {
    directory: TempDir,
    driver: Child,
    address: SocketAddr,
    session: String,
}

impl Browser {
    pub async fn start() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let port = free_port();
        let log = File::create(directory.path().join("log")).expect("a log file");
        let driver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .env("HOME", directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("chromedriver is installed: tests/setup brings it");
        let mut browser = Self {
            directory,
            driver,
            address: ([127, 0, 0, 1], port).into(),
            session: String::new(),
        };
        until("chromedriver to listen", async || {
            Connection::open(browser.address).await.map(drop)
        })
        .await;
        let profile = browser.directory.path().join("profile");
        let arguments = ARGUMENTS.map(str::to_owned).into_iter();
        let arguments: Vec<_> = arguments
            .chain([format!("--user-data-dir={}", profile.display())])
            .collect();
        let options = json!({"args": arguments});
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}});
        let session = browser.ask("/session", &wanted).await.expect("a window");
        let id = session["sessionId"].as_str().expect("a name");
        browser.session = format!("/session/{id}");
        browser
    }

    /// Waits until it is loaded.
    pub async fn open(&self, url: &str) {
        self.tell("/url", json!({"url": url}))
            .await
            .expect("it is loaded");
    }

    /// Pixels of the whole window.
    pub async fn resize(&self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height});
        self.tell("/window/rect", size).await.expect("a size");
    }

    /// A command of Chromium's own protocol: what WebDriver has no word for.
    pub async fn emulate(&self, command: &str, parameters: Value) {
        let body = json!({"cmd": format!("Emulation.{command}"), "params": parameters});
        self.tell("/goog/cdp/execute", body).await.expect("it is done");
    }

    /// What is seen, as PNG.
    pub async fn picture(&self) -> Vec<u8> {
        let shown = json!({"cmd": "Page.captureScreenshot", "params": {}});
        let picture = self.tell("/goog/cdp/execute", shown).await.expect("a picture");
        let text = picture["data"].as_str().expect("a text");
        BASE64_STANDARD.decode(text).expect("base64")
    }

    /// What a function's body returns in the page.
    pub async fn run(&self, script: &str) -> Value {
        let script = json!({"script": script, "args": []});
        self.tell("/execute/sync", script).await.expect("it runs")
    }

    pub async fn click(&self, selector: &str) {
        let element = self.find(selector).await;
        let click = format!("/element/{element}/click");
        self.tell(&click, json!({})).await.expect("it can be clicked");
    }

    pub async fn fill(&self, selector: &str, text: &str) {
        let element = self.find(selector).await;
        let value = format!("/element/{element}/value");
        let text = json!({"text": text});
        self.tell(&value, text).await.expect("it takes text");
    }

    /// Waits for the page's visible text to have this.
    pub async fn wait_text(&self, text: &str) {
        self.wait_text_in("body", text).await;
    }

    /// Waits for the visible text of an element to have this.
    pub async fn wait_text_in(&self, selector: &str, text: &str) {
        let script = format!(
            "return document.querySelector({}).innerText",
            Value::from(selector)
        );
        until(&format!("{selector} to show {text:?}"), async || {
            // There may be no such element yet.
            let shown = self
                .tell("/execute/sync", json!({"script": script, "args": []}))
                .await?;
            let shown = shown.as_str().unwrap_or_default();
            match shown.contains(text) {
                true => Ok(()),
                false => Err(shown.to_owned()),
            }
        })
        .await;
    }

    async fn find(&self, selector: &str) -> String {
        let wanted = json!({"using": "css selector", "value": selector});
        until(&format!("an element {selector}"), async || {
            let element = self.tell("/element", wanted.clone()).await?;
            Ok(element[ELEMENT].as_str().expect("a reference").to_owned())
        })
        .await
    }

    async fn tell(&self, command: &str, body: Value) -> Result<Value, String> {
        self.ask(&format!("{}{command}", self.session), &body).await
    }

    async fn ask(&self, path: &str, body: &Value) -> Result<Value, String> {
        let mut connection = Connection::open(self.address).await?;
        let body = Full::new(body.to_string().into()).boxed();
        let mut request = request(Method::POST, path, body);
        let json = "application/json".parse().expect("a header's value");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        let reply = connection.send(request).await?;
        let mut answer: Value = serde_json::from_slice(&reply.body).map_err(|error| error.to_string())?;
        let value = answer["value"].take();
        match reply.status.is_success() {
            true => Ok(value),
            false => Err(value.to_string()),
        }
    }
}

impl Drop for Browser {
    /// The driver closes the window; without the driver it would stay.
    fn drop(&mut self) {
        let request = format!(
            "DELETE {} HTTP/1.1\r\nhost: {}\r\n\r\n",
            self.session, self.address
        );
        if let Ok(mut connection) = std::net::TcpStream::connect(self.address) {
            // The driver may be gone. It answers when the window is closed, and keeps the connection.
            let _ = connection.set_read_timeout(Some(Duration::from_secs(10)));
            let _ = connection.write_all(request.as_bytes());
            let _ = connection.read(&mut [0; 64]);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
