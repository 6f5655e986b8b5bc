//! App files, and with their artifacts, without serving them.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use tempfile::TempDir;

use super::{ArtifactSettings, blocking};
use crate::control::{Inspected, conflicts, inspect, inspect_list};
use crate::host::{self, Host};
use crate::launch::{AppLauncher, Kinds, Parts, Pins, RecentApps, TlsParts, local_problems};
use crate::loader::{Loader, Residents};
use crate::logs::{GuestLogSettings, GuestLogTarget, GuestLogs};
use crate::manifest::{Limits, ManifestError, Place, place_of};
use crate::metrics::Apps;
use crate::net::{CertificateFiles, HttpClient};
use crate::oci::{Progress, Resolutions};
use crate::runtime::Runtime;
use crate::runtime_config::RuntimeConfig;
use crate::sandbox::Writable;
use crate::tasks::Ending;
use crate::trigger::http::tls::{Acme, AcmeSettings};
use crate::trigger::http::{HttpSettings, Inherited, Listeners};

/// What to check.
pub struct Checking {
    /// App files, and directories of them; or lists.
    pub paths: Vec<PathBuf>,
    /// The paths are those of lists.
    pub lists: bool,
    /// Fetch the artifacts too.
    pub pull: Option<TryOut>,
}

/// What an app is tried out with, as a daemon is told.
pub struct TryOut {
    pub artifacts: ArtifactSettings,
    pub runtime_config: Option<PathBuf>,
    pub shared_variables: bool,
    pub progress: Arc<dyn Progress>,
}

/// What was found in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedFile {
    pub file: PathBuf,
    pub problems: Vec<Problem>,
}

/// One thing that is wrong, and where; without a place, the file as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// From 1.
    pub line: Option<usize>,
    /// From 1, in bytes.
    pub column: Option<usize>,
    /// The reason and, where one is known, the remedy.
    pub message: String,
}

impl Problem {
    fn new(place: Option<Place>, message: String) -> Self {
        Self {
            line: place.map(|place| place.line),
            column: place.map(|place| place.column),
            message,
        }
    }

    fn of_file(error: &ManifestError) -> Self {
        let (place, message) = error.parts();
        Self::new(place, message)
    }

    /// With the value of a member.
    fn of_member(app: &Inspected, member: &str, message: String) -> Self {
        let place = place_of(&app.text, member).map(|place| place.within(app.place));
        Self::new(place, message)
    }
}

/// Guests are instantiated, and what they print is nobody's.
const NO_LOGS: GuestLogSettings = GuestLogSettings {
    to: GuestLogTarget::None,
    times: false,
    size: 0,
};

/// Checks files, each as a daemon would read it, all of them together, and what they name. Gives every file once, in order.
///
/// # Errors
/// Nothing could be checked at all; what is wrong with a file is in its report.
pub async fn check(checking: Checking) -> Result<Vec<CheckedFile>> {
    let Checking { paths, lists, pull } = checking;
    let (mut report, apps) = blocking(move || read(&paths, lists)).await;
    let mut found = blocking({
        let apps = apps.clone();
        move || problems(&apps)
    })
    .await;
    if let Some(try_out) = pull {
        let trial = Trial::new(try_out)?;
        for (app, problems) in apps.iter().zip(&mut found) {
            if let (Ok(spec), true) = (&app.spec, problems.is_empty())
                && let Err(error) = trial.launcher.check(&app.id, spec).await
            {
                problems.push(Problem::of_member(app, "reference", error.message));
            }
        }
    }
    for (app, problems) in apps.iter().zip(found) {
        report.add(&app.path, problems);
    }
    Ok(report.files)
}

/// Files in the order in which they were named.
#[derive(Default)]
struct Report {
    files: Vec<CheckedFile>,
    places: HashMap<PathBuf, usize>,
}

impl Report {
    fn add(&mut self, file: &Path, problems: Vec<Problem>) {
        let place = *self.places.entry(file.to_owned()).or_insert_with(|| {
            self.files.push(CheckedFile {
                file: file.to_owned(),
                problems: Vec::new(),
            });
            self.files.len() - 1
        });
        self.files[place].problems.extend(problems);
    }
}

fn read(paths: &[PathBuf], lists: bool) -> (Report, Vec<Inspected>) {
    let (mut report, mut apps) = (Report::default(), Vec::new());
    // A file may be named twice, as itself and by its directory.
    let mut seen = HashSet::new();
    for path in paths {
        let read = match lists {
            true => inspect_list(path).map_err(|error| Problem::of_file(&error)),
            false => inspect(path).map_err(|error| Problem::new(None, format!("can't be listed: {error}"))),
        };
        match read {
            Ok(found) => {
                if lists {
                    // Also a list without apps has been checked.
                    report.add(path, Vec::new());
                }
                let name = |app: &Inspected| app.path.canonicalize().unwrap_or_else(|_| app.path.clone());
                for app in found {
                    if !lists && !seen.insert(name(&app)) {
                        continue;
                    }
                    report.add(&app.path, Vec::new());
                    apps.push(app);
                }
            }
            Err(problem) => report.add(path, vec![problem]),
        }
    }
    (report, apps)
}

/// What is wrong with each app, nothing being fetched.
fn problems(apps: &[Inspected]) -> Vec<Vec<Problem>> {
    let of_app = |(app, conflict): (&Inspected, Option<String>)| {
        let spec = match &app.spec {
            Ok(spec) => spec,
            Err(error) => return vec![Problem::of_file(error)],
        };
        let local = local_problems(spec).into_iter();
        let local = local.map(|found| Problem::of_member(app, found.member, found.message));
        let conflict = conflict.map(|reason| Problem::of_member(app, "address", reason));
        conflict.into_iter().chain(local).collect()
    };
    apps.iter().zip(conflicts(apps)).map(of_app).collect()
}

/// Everything that an app is prepared with, without an address to be served at.
struct Trial {
    launcher: AppLauncher,
    /// In the place of state directories and of what daemons remember.
    _scratch: TempDir,
}

impl Trial {
    fn new(try_out: TryOut) -> Result<Self> {
        let TryOut {
            artifacts,
            runtime_config,
            shared_variables,
            progress,
        } = try_out;
        let scratch = TempDir::new()?;
        let state_root = scratch.path().join("state");
        std::fs::create_dir(&state_root)?;
        let store = artifacts.store()?;
        let acme = Acme::new(AcmeSettings {
            directory: None,
            contact: Vec::new(),
            ca: None,
            data_dir: scratch.path().join("acme"),
        })?;
        let runtime = Runtime::new(host::link, host::link_concurrent, host::is_concurrent)?;
        let listeners = Listeners::new(
            HttpSettings::default(),
            None,
            &acme,
            Arc::new(Inherited::of_service(Vec::new())?),
            &Ending::new(false),
        );
        let launcher = AppLauncher::new(Parts {
            puller: artifacts.puller(store.clone(), progress)?,
            resolutions: Resolutions::open(&scratch.path().join("references"))?,
            loader: Loader::new(&runtime, store.clone())?,
            runtime,
            host: Arc::new(Host::new(None)),
            client: HttpClient::with_system_roots(),
            runtime_config: runtime_config
                .as_deref()
                .map(RuntimeConfig::read)
                .transpose()?
                .unwrap_or_default(),
            listeners,
            tls: TlsParts::new(CertificateFiles::default(), acme, HashMap::new()),
            kinds: Kinds::default(),
            logs: GuestLogs::start(NO_LOGS)?,
            state_root,
            shared_variables,
            pins: Pins::new(store, scratch.path().display().to_string()),
            limits: Limits::built_in(),
            writable: Writable::everywhere(),
            metrics: Apps::default(),
            resting: Residents::any_number(),
            recent: RecentApps::default(),
        });
        Ok(Self {
            launcher,
            _scratch: scratch,
        })
    }
}
