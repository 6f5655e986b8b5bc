//! `wasi:random`.

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::random::insecure::Host as _;
use wasmtime_wasi::p2::bindings::random::insecure_seed::Host as _;
use wasmtime_wasi::p2::bindings::random::random::Host as _;
use wasmtime_wasi::random::{WasiRandom, WasiRandomView};

use super::Candidate;
use super::interface::Interface;

type Random<'linker, T> = Interface<'linker, T, WasiRandom>;

pub(super) fn link<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    candidate: Candidate,
) -> wasmtime::Result<()> {
    let mut random = Random::new(linker, candidate, "wasi:random/random", T::random)?;
    random.value("get-random-bytes", |random, (len,)| random.get_random_bytes(len))?;
    random.value("get-random-u64", |random, ()| random.get_random_u64())?;

    let mut insecure = Random::new(linker, candidate, "wasi:random/insecure", T::random)?;
    insecure.value("get-insecure-random-bytes", |random, (len,)| {
        random.get_insecure_random_bytes(len)
    })?;
    insecure.value("get-insecure-random-u64", |random, ()| {
        random.get_insecure_random_u64()
    })?;

    let mut seed = Random::new(linker, candidate, "wasi:random/insecure-seed", T::random)?;
    seed.value("insecure-seed", |random, ()| random.insecure_seed())
}
