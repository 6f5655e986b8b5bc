//! What would be done with other files.

use std::collections::BTreeMap;
use std::path::Path;

use super::Supervisor;
use super::app::App;
use crate::control::launcher::Launcher;
use crate::control::rehearsal::{Drafts, Known, Rehearsed, read, rehearse};
use crate::control::taken::named;

impl<L: Launcher> Supervisor<L> {
    /// Nothing changes by it. The files are read as if they stood where those are that are known.
    pub(super) fn rehearse(&self, drafts: &Drafts) -> Rehearsed {
        let present = || self.apps.iter().filter(|(_, app)| app.present);
        let dir = present().find_map(|(_, app)| app.path.parent());
        let files = read(drafts, dir.unwrap_or(Path::new("")));
        let known: BTreeMap<_, _> = present()
            .map(|(id, app)| {
                let app: &App = app;
                let known = Known {
                    spec: app.spec.as_deref(),
                    actual: app.actual(),
                    named: named(id, &app.path),
                    trouble: app.error(),
                };
                (id.clone(), known)
            })
            .collect();
        rehearse(self.claims.clone(), &known, &files)
    }
}
