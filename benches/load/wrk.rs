//! Debian's wrk: one thread, keep-alive connections, as fast as it goes.

use std::net::SocketAddr;
use std::process::Command;

pub const CONNECTIONS: usize = 64;

/// What one run saw.
pub struct Seen {
    /// Requests a second.
    pub rate: f64,
    /// Answers that were not 2xx or 3xx, and errors of sockets.
    pub failed: u64,
}

/// With these headers besides its own. `None` where it is not installed.
pub fn run(address: SocketAddr, headers: &[&str], seconds: u64) -> Option<Seen> {
    let output = Command::new("wrk")
        .args(["-t1", &format!("-c{CONNECTIONS}"), &format!("-d{seconds}s")])
        .args(headers.iter().flat_map(|header| ["-H", header]))
        .arg(format!("http://{address}/"))
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let after = |name: &str| text.lines().find_map(|line| line.trim().strip_prefix(name));
    let rate = after("Requests/sec:").unwrap_or_else(|| panic!("wrk: {text}"));
    let wrong = after("Non-2xx or 3xx responses:").map_or(0, number);
    // `connect 0, read 0, write 0, timeout 0`, if any is not 0.
    let errors = after("Socket errors:").map_or(0, |errors| errors.split(',').map(number).sum());
    Some(Seen {
        rate: rate.trim().parse().expect("a number"),
        failed: wrong + errors,
    })
}

/// The last word.
fn number(text: &str) -> u64 {
    let word = text.split_whitespace().last().expect("a word");
    word.parse().expect("a number")
}
