//! What can go wrong between stored content and a component that can be linked.

use std::path::PathBuf;

/// Why a component could not be loaded. Display says this room's layer only; sources say the rest.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file system refused.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The bytes are not WebAssembly that this host understands.
    #[error("the file is not valid WebAssembly; build the component again and push it again")]
    Malformed(#[source] wasmparser::BinaryReaderError),
    /// `docs/contract/host-interfaces.md` §9: a module of a generation that no adapter exists for.
    #[error(
        "cannot adapt modules created with wit-bindgen version {version}; build the module with a version from 0.5 \
         on and below 1.0, or as a component"
    )]
    UnsupportedBindings {
        /// As found in the module's producers.
        version: String,
    },
    /// `docs/contract/host-interfaces.md` §9: an old wasi-libc corrupts memory in commands.
    #[error(
        "the module was built with clang {version}, whose C library can corrupt memory when run as a component; build \
         it with clang 15.0.7 or newer"
    )]
    UnsafeToolchain {
        /// As found in the module's producers.
        version: String,
    },
    /// The module lacks what a component must have.
    #[error("cannot turn the core module into a component: {reason}")]
    NotComponentizable {
        /// What is missing, with the remedy.
        reason: String,
    },
    /// A step that builds a component failed.
    #[error("cannot {step}")]
    Encode {
        /// Which step.
        step: &'static str,
        /// What the encoder says.
        source: anyhow::Error,
    },
    /// Dependencies that do not fit the component, `docs/contract/locked-app.md` §7.
    #[error("cannot compose dependency `{dependency}`: {reason}")]
    Compose {
        /// The dependency's name as the app gives it.
        dependency: String,
        /// What does not fit, with the remedy.
        reason: String,
    },
    /// The composition graph refused.
    #[error("cannot compose dependency `{dependency}`: {step}")]
    ComposeGraph {
        /// The dependency's name as the app gives it.
        dependency: String,
        /// What was tried.
        step: &'static str,
        /// What the graph says.
        source: anyhow::Error,
    },
    /// The engine refuses the component.
    #[error("cannot compile component `{component}`")]
    Compile {
        /// The component's id.
        component: String,
        /// What the engine says.
        source: wasmtime::Error,
    },
    /// Compiled code that was written a moment ago can't be mapped.
    #[error("cannot map the compiled code of component `{component}`")]
    Map {
        /// The component's id.
        component: String,
        /// What the engine says.
        source: wasmtime::Error,
    },
    /// Imports that this host does not offer, all of them.
    #[error(
        "component `{component}` needs what this host does not offer: {}",
        list(missing)
    )]
    MissingImports {
        /// The component's id.
        component: String,
        /// Each import, with the linker's reason.
        missing: Vec<crate::loader::MissingImport>,
    },
    /// A command where something that handles events is wanted.
    #[error(
        "component `{component}` is a command, which runs once and handles no events: give its trigger the executor \
         `wagi`, or use the trigger `command`"
    )]
    Command {
        /// The component's id.
        component: String,
    },
    /// A component that is no command where one is wanted.
    #[error(
        "component `{component}` exports no `wasi:cli/run`, which the executor `wagi` and the trigger `command` run; \
         build it as a command"
    )]
    NoCommand {
        /// The component's id.
        component: String,
    },
    /// `docs/contract/http-trigger.md` §5: no export that handles requests.
    #[error(
        "component `{component}` exports no HTTP handler; export exactly one of {}",
        crate::loader::HandlerType::expected()
    )]
    NoHandler {
        /// The component's id.
        component: String,
    },
    /// `docs/contract/http-trigger.md` §5: several exports that handle requests.
    #[error(
        "component exports multiple different handlers but it's expected to export only one; component `{component}` \
         exports {}",
        found.join(", ")
    )]
    ManyHandlers {
        /// The component's id.
        component: String,
        /// The exports' names.
        found: Vec<String>,
    },
    /// `docs/contract/oci.md` §3: a path that could leave the tree.
    #[error("invalid file mount `{path}`: {reason}; only relative paths of normal components can be mounted")]
    BadMount {
        /// As the app gives it.
        path: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The store does not give the content.
    #[error("cannot read the content from the store")]
    Content(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A blocking task was cancelled or panicked.
    #[error("the task that loads component `{component}` ended without a result")]
    Interrupted {
        /// The component's id.
        component: String,
        /// How it ended.
        source: tokio::task::JoinError,
    },
}

impl LoadError {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> LoadError {
        let path = path.into();
        move |source| LoadError::Io { action, path, source }
    }

    pub(crate) fn encode(step: &'static str) -> impl FnOnce(anyhow::Error) -> LoadError {
        move |source| LoadError::Encode { step, source }
    }
}

fn list(missing: &[crate::loader::MissingImport]) -> String {
    let names: Vec<String> = missing.iter().map(ToString::to_string).collect();
    names.join("; ")
}
