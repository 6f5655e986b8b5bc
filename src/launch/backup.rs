//! A copy of an app's databases, from where its file says that they are.

use super::{LaunchFailure, Parts};
use crate::control::Backup;
use crate::host::{self, BackupError};
use crate::manifest::AppSpec;
use crate::oci::OciError;

impl Parts {
    /// The copy is made on the disk of the cache: whoever fetches it may be slow, and writers wait for nobody's network.
    pub(super) async fn back_up(&self, spec: &AppSpec) -> Result<Backup, LaunchFailure> {
        let config = self.runtime_config(spec).await?;
        let state_dir = self.state_dir(spec, &config);
        let store = self.puller.store().clone();
        let copied = tokio::task::spawn_blocking(move || {
            let state_dir = std::path::absolute(&state_dir).map_err(BackupError::io(&state_dir))?;
            // Somebody may have deleted the cache.
            let _lease = store.lease().map_err(OciError::from)?;
            Ok::<_, LaunchFailure>(host::back_up(&state_dir, store.scratch())?)
        });
        match copied.await {
            Ok(copied) => {
                let (tar, size) = copied?;
                Ok(Backup { tar, size })
            }
            // It panicked, and goes on doing so here.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}
