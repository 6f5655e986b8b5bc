//! Clocks, random numbers, the environment, the terminals.

use crate::bindings::wasi::cli::{
    environment, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout,
};
use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::streams::{read_all, wait, wait_any, write_all};
use crate::Report;

const PAUSE: u64 = 5_000_000;
const LONG: u64 = 60_000_000_000;
const EARLIEST: u64 = 1_600_000_000;

pub fn try_all(report: &mut Report) {
    let variables = environment::get_environment();
    report.push(("env", format!("{variables:?}")));
    report.push(("args", environment::get_arguments().join(" ")));
    report.push(("cwd", format!("{:?}", environment::initial_cwd())));

    let begun = monotonic_clock::now();
    let (short, long) = (after(PAUSE), after(LONG));
    report.push(("first", format!("{:?}", wait_any(&[&long, &short]))));
    wait(&at(begun + PAUSE));
    report.push(("slept", (monotonic_clock::now() - begun >= PAUSE).to_string()));
    report.push(("resolution", (monotonic_clock::resolution() > 0).to_string()));
    report.push(("wall", (wall_clock::now().seconds > EARLIEST).to_string()));
    report.push(("fine", (wall_clock::resolution().nanoseconds > 0).to_string()));
    zone(report);

    report.push(("random", random::get_random_bytes(16).len().to_string()));
    let differs = random::get_random_u64() != random::get_random_u64();
    report.push(("differs", differs.to_string()));
    report.push(("insecure", insecure::get_insecure_random_bytes(7).len().to_string()));
    let differs = insecure::get_insecure_random_u64() != insecure::get_insecure_random_u64();
    report.push(("seed", (differs && insecure_seed::insecure_seed() != (0, 0)).to_string()));

    write_all(&stdout::get_stdout(), b"out\n");
    write_all(&stderr::get_stderr(), b"err\n");
    report.push(("stdin", read_all(stdin::get_stdin()).len().to_string()));
    let terminals = terminal_stdin::get_terminal_stdin().is_some()
        || terminal_stdout::get_terminal_stdout().is_some()
        || terminal_stderr::get_terminal_stderr().is_some();
    report.push(("terminals", terminals.to_string()));
}

#[cfg(feature = "october")]
fn after(duration: u64) -> Pollable {
    monotonic_clock::subscribe(duration, false)
}

#[cfg(feature = "october")]
fn at(instant: u64) -> Pollable {
    monotonic_clock::subscribe(instant, true)
}

#[cfg(feature = "october")]
fn zone(report: &mut Report) {
    use crate::bindings::wasi::clocks::timezone;
    let display = timezone::display(wall_clock::now());
    let offset = timezone::utc_offset(wall_clock::now());
    report.push(("zone", format!("{} {offset} {}", display.name, display.in_daylight_saving_time)));
}

#[cfg(feature = "november")]
fn after(duration: u64) -> Pollable {
    monotonic_clock::subscribe_duration(duration)
}

#[cfg(feature = "november")]
fn at(instant: u64) -> Pollable {
    monotonic_clock::subscribe_instant(instant)
}

#[cfg(feature = "november")]
fn zone(_: &mut Report) {}
