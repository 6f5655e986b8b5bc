//! Which HTTP handler a component exports, `docs/contract/http-trigger.md` §5.
//!
//! Asked of the compiled component, so it works from the compilation cache. The renaming of the 0.3 release candidate
//! (`rename.rs`) is remembered by the export's own name: it is served under a patch version that no release has.

use wasmtime::component::Component;

use super::error::LoadError;
use super::rename::RC_SERVED_AS;

/// How a component wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandlerType {
    /// `wasi:http/incoming-handler@0.2.x`, any final version.
    Wasi0_2,
    /// `wasi:http/incoming-handler@0.2.0-rc-2023-10-18`.
    WasiRc20231018,
    /// `wasi:http/incoming-handler@0.2.0-rc-2023-11-10`.
    WasiRc20231110,
    /// `wasi:http/handler@0.3.x`, any final version; instances may be reused.
    Wasi0_3,
    /// `wasi:http/handler@0.3.0-rc-2026-03-15`; one instance for each request. The compiled component exports it as a
    /// 0.3.x version, so the bindings of [`HandlerType::Wasi0_3`] find it.
    Wasi0_3Rc,
    /// `fermyon:spin/inbound-http`.
    SpinInbound,
}

const INCOMING: &str = "wasi:http/incoming-handler@";
const HANDLER: &str = "wasi:http/handler@";
const SPIN_INBOUND: &str = "fermyon:spin/inbound-http";
const RC_2023_10_18: &str = "0.2.0-rc-2023-10-18";
const RC_2023_11_10: &str = "0.2.0-rc-2023-11-10";

impl HandlerType {
    /// The handler that the component exports; `name` is its id, for errors.
    ///
    /// # Errors
    /// [`LoadError::NoHandler`] and [`LoadError::ManyHandlers`].
    pub fn of(component: &Component, name: &str) -> Result<HandlerType, LoadError> {
        let ty = component.component_type();
        let found: Vec<(&str, HandlerType)> = ty
            .exports(component.engine())
            .filter_map(|(export, _)| Some((export, HandlerType::of_export(export)?)))
            .collect();
        match found.as_slice() {
            [(_, handler)] => Ok(*handler),
            [] => Err(LoadError::NoHandler {
                component: name.to_owned(),
            }),
            many => Err(LoadError::ManyHandlers {
                component: name.to_owned(),
                found: many.iter().map(|(export, _)| (*export).to_owned()).collect(),
            }),
        }
    }

    fn of_export(export: &str) -> Option<HandlerType> {
        if export == SPIN_INBOUND {
            return Some(HandlerType::SpinInbound);
        }
        if let Some(version) = export.strip_prefix(INCOMING) {
            return match version {
                RC_2023_10_18 => Some(HandlerType::WasiRc20231018),
                RC_2023_11_10 => Some(HandlerType::WasiRc20231110),
                _ => is_final(version, "0.2.").then_some(HandlerType::Wasi0_2),
            };
        }
        let version = export.strip_prefix(HANDLER)?;
        if version == RC_SERVED_AS {
            return Some(HandlerType::Wasi0_3Rc);
        }
        is_final(version, "0.3.").then_some(HandlerType::Wasi0_3)
    }

    /// Every export that is understood, for the error of a component that has none.
    pub(crate) fn expected() -> &'static str {
        "`wasi:http/incoming-handler@0.2.x`, `wasi:http/incoming-handler@0.2.0-rc-2023-10-18`, \
         `wasi:http/incoming-handler@0.2.0-rc-2023-11-10`, `wasi:http/handler@0.3.x`, \
         `wasi:http/handler@0.3.0-rc-2026-03-15`, `fermyon:spin/inbound-http`"
    }
}

/// How a component is run from beginning to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandType {
    /// `wasi:cli/run@0.2.x`, any final version.
    Wasi0_2,
    /// `wasi:cli/run@0.3.x`, any final version, and the release candidate under the name it is served as.
    Wasi0_3,
}

const CLI_RUN: &str = "wasi:cli/run@";

impl CommandType {
    /// The command that the component exports, the newer one of two; `name` is its id, for errors.
    ///
    /// # Errors
    /// [`LoadError::NoCommand`].
    pub fn of(component: &Component, name: &str) -> Result<CommandType, LoadError> {
        let ty = component.component_type();
        let versions: Vec<&str> = ty
            .exports(component.engine())
            .filter_map(|(export, _)| export.strip_prefix(CLI_RUN))
            .collect();
        let exports = |track| versions.iter().any(|version| is_final(version, track));
        if exports("0.3.") {
            Ok(CommandType::Wasi0_3)
        } else if exports("0.2.") {
            Ok(CommandType::Wasi0_2)
        } else {
            Err(LoadError::NoCommand {
                component: name.to_owned(),
            })
        }
    }
}

/// Whether `version` is `track` and a patch number; pre-releases match by text only.
fn is_final(version: &str, track: &str) -> bool {
    version
        .strip_prefix(track)
        .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::testing::{component_exporting, engine};

    fn handler(exports: &[&str]) -> Result<HandlerType, LoadError> {
        let component = Component::new(&engine(), component_exporting(exports)).unwrap();
        HandlerType::of(&component, "web")
    }

    #[test]
    fn each_known_export_is_found() {
        for (export, expected) in [
            ("wasi:http/incoming-handler@0.2.0", HandlerType::Wasi0_2),
            ("wasi:http/incoming-handler@0.2.12", HandlerType::Wasi0_2),
            (
                "wasi:http/incoming-handler@0.2.0-rc-2023-10-18",
                HandlerType::WasiRc20231018,
            ),
            (
                "wasi:http/incoming-handler@0.2.0-rc-2023-11-10",
                HandlerType::WasiRc20231110,
            ),
            ("wasi:http/handler@0.3.0", HandlerType::Wasi0_3),
            ("wasi:http/handler@0.3.2", HandlerType::Wasi0_3),
            ("fermyon:spin/inbound-http", HandlerType::SpinInbound),
        ] {
            assert_eq!(
                handler(&[export, "acme:other/thing@1.0.0"]).unwrap(),
                expected,
                "{export}"
            );
        }
    }

    #[test]
    fn the_renamed_candidate_is_told_from_the_final_version() {
        let renamed = format!("wasi:http/handler@{RC_SERVED_AS}");
        assert_eq!(handler(&[&renamed]).unwrap(), HandlerType::Wasi0_3Rc);
    }

    #[test]
    fn candidates_nobody_serves_are_no_handlers() {
        let error = handler(&["wasi:http/handler@0.3.0-rc-2025-09-16"]).unwrap_err();
        assert!(
            error.to_string().contains("`fermyon:spin/inbound-http`"),
            "{error}"
        );
        assert!(matches!(error, LoadError::NoHandler { .. }));
    }

    #[test]
    fn two_handlers_are_refused_and_named() {
        let error = handler(&["wasi:http/handler@0.3.0", "fermyon:spin/inbound-http"]).unwrap_err();
        let LoadError::ManyHandlers { found, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(found.len(), 2);
        assert!(
            error
                .to_string()
                .contains("component exports multiple different handlers"),
            "{error}"
        );
    }

    #[test]
    fn a_command_is_recognised() {
        let command = |exports: &[&str]| {
            let component = Component::new(&engine(), component_exporting(exports)).unwrap();
            CommandType::of(&component, "job")
        };
        assert_eq!(command(&["wasi:cli/run@0.2.3"]).unwrap(), CommandType::Wasi0_2);
        let both = ["wasi:cli/run@0.2.3", "wasi:cli/run@0.3.0"];
        assert_eq!(command(&both).unwrap(), CommandType::Wasi0_3);
        let neither = command(&["fermyon:spin/inbound-http"]);
        assert!(matches!(neither, Err(LoadError::NoCommand { .. })));
    }
}
