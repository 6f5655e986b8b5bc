//! What is linked against `wit/`: a component that imports everything there is must find all of it, with the right types.

use std::path::Path;

use wasmtime::component::Component;
use wit_component::StringEncoding;
use wit_parser::{ManglingAndAbi, Resolve};

use super::host::{ENGINE, componentize, linker};
use crate::host::wasi_rc::{Candidate, Handler};

fn component_of_everything(candidate: Candidate) -> Component {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("wit/wasi-{}", candidate.version()));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(directory).unwrap();
    let world = resolve.select_world(&[package], Some("everything")).unwrap();
    let mut module = wit_component::dummy_module(&resolve, world, ManglingAndAbi::Standard32);
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    Component::new(&ENGINE, componentize(&module)).unwrap()
}

#[test]
fn every_function_of_the_definitions_is_linked_with_its_type() {
    for candidate in Candidate::ALL {
        let component = component_of_everything(candidate);
        assert!(
            component.component_type().imports(&ENGINE).count() > 20,
            "the component imports everything"
        );
        if let Err(error) = linker().instantiate_pre(&component) {
            panic!("{candidate:?}: {error:?}");
        }
    }
}

#[test]
fn a_handler_is_found_under_its_own_candidate_only() {
    for candidate in Candidate::ALL {
        let pre = linker()
            .instantiate_pre(&component_of_everything(candidate))
            .unwrap();
        for asked in Candidate::ALL {
            let found = Handler::new(pre.clone(), asked);
            assert_eq!(
                found.is_ok(),
                asked == candidate,
                "asked a {candidate:?} component for {asked:?}"
            );
        }
    }
}
