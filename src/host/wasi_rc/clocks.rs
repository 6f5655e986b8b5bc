//! `wasi:clocks`.

use wasmtime::component::{ComponentType, Linker, Lower};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock::Host as Monotonic;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::{Datetime, Host as Wall};

use super::Candidate;
use super::interface::Interface;

type Clocks<'linker, T> = Interface<'linker, T, WasiClocks>;

/// What October's `timezone.display` answers: guests are given UTC, as by every later version.
#[derive(ComponentType, Lower)]
#[component(record)]
struct TimezoneDisplay {
    #[component(name = "utc-offset")]
    utc_offset: i32,
    name: &'static str,
    #[component(name = "in-daylight-saving-time")]
    in_daylight_saving_time: bool,
}

pub(super) fn link<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    candidate: Candidate,
) -> wasmtime::Result<()> {
    let mut wall = Clocks::new(linker, candidate, "wasi:clocks/wall-clock", T::clocks)?;
    wall.value("now", |clocks, ()| Wall::now(clocks))?;
    wall.value("resolution", |clocks, ()| Wall::resolution(clocks))?;

    let mut monotonic = Clocks::new(linker, candidate, "wasi:clocks/monotonic-clock", T::clocks)?;
    monotonic.value("now", |clocks, ()| Monotonic::now(clocks))?;
    monotonic.value("resolution", |clocks, ()| Monotonic::resolution(clocks))?;
    match candidate {
        Candidate::October => {
            monotonic.value("subscribe", |clocks, (when, absolute)| match absolute {
                true => clocks.subscribe_instant(when),
                false => clocks.subscribe_duration(when),
            })?;
            timezone(&mut Clocks::new(
                linker,
                candidate,
                "wasi:clocks/timezone",
                T::clocks,
            )?)
        }
        Candidate::November => {
            monotonic.value("subscribe-instant", |clocks, (when,)| {
                clocks.subscribe_instant(when)
            })?;
            monotonic.value("subscribe-duration", |clocks, (when,)| {
                clocks.subscribe_duration(when)
            })
        }
    }
}

fn timezone<T: WasiView + 'static>(timezone: &mut Clocks<'_, T>) -> wasmtime::Result<()> {
    timezone.value("display", |_, (_,): (Datetime,)| {
        Ok(TimezoneDisplay {
            utc_offset: 0,
            name: "UTC",
            in_daylight_saving_time: false,
        })
    })?;
    timezone.value("utc-offset", |_, (_,): (Datetime,)| Ok(0i32))
}
