//! A service manager that listens to what services tell it.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tokio::net::UnixDatagram;

use super::wait::until;

/// The other end of `$NOTIFY_SOCKET`.
pub struct ServiceManager {
    socket: UnixDatagram,
    path: PathBuf,
    heard: Mutex<Vec<String>>,
}

impl ServiceManager {
    /// With its socket in `directory`.
    pub fn new(directory: &Path) -> Self {
        let path = directory.join("notify");
        Self {
            socket: UnixDatagram::bind(&path).expect("a socket"),
            path,
            heard: Mutex::default(),
        }
    }

    pub fn socket(&self) -> &Path {
        &self.path
    }

    /// All lines so far, in order.
    pub fn heard(&self) -> Vec<String> {
        let mut heard = self.heard.lock().expect("nothing panics with it");
        let mut message = [0; 4096];
        while let Ok(length) = self.socket.try_recv(&mut message) {
            let text = String::from_utf8_lossy(&message[..length]).into_owned();
            heard.extend(text.lines().map(String::from));
        }
        heard.clone()
    }

    /// Waits until it has been told `line` as many times; answers with all that it has heard.
    pub async fn hear(&self, line: &str, times: usize) -> Vec<String> {
        until(&format!("{line}, {times} times"), async || {
            let heard = self.heard();
            match heard.iter().filter(|told| *told == line).count() >= times {
                true => Ok(heard),
                false => Err(format!("{heard:?}")),
            }
        })
        .await
    }
}
