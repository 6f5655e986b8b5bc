//! An app's databases to a file.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use http_body_util::BodyExt as _;
use tempfile::NamedTempFile;

use super::args::{DaemonArgs, STDOUT};
use crate::admin::{AdminClient, AdminError};

/// Copy an app's SQLite databases while it serves, as they are at one moment
///
/// Those of its state directory: what else is there, and what the app keeps elsewhere (Redis, libSQL, DynamoDB), is not in the copy.
#[derive(Debug, Args)]
pub(super) struct BackupArgs {
    /// The app: the name of its file without `.json`
    #[arg(value_name = "APP")]
    app: String,
    /// The tar to write, readable by its owner only; `-` is standard output
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    daemon: DaemonArgs,
}

impl BackupArgs {
    pub(super) fn daemon(&self) -> &DaemonArgs {
        &self.daemon
    }

    /// A file that stood there is replaced once the new one is whole, and not before.
    pub(super) async fn run(&self, client: &AdminClient) -> Result<(), AdminError> {
        let file = &self.file;
        let mut body = client.back_up(&self.app).await?;
        let mut target = Target::open(file).map_err(output(file))?;
        while let Some(frame) = body.frame().await {
            if let Ok(data) = frame?.into_data() {
                target.write(&data).map_err(output(file))?;
            }
        }
        target.finish(file).map_err(output(file))
    }
}

/// Where the tar goes.
enum Target {
    Stdout(io::Stdout),
    /// Beside the file, until it is whole.
    File(NamedTempFile),
}

impl Target {
    fn open(file: &Path) -> io::Result<Self> {
        if file == Path::new(STDOUT) {
            return Ok(Self::Stdout(io::stdout()));
        }
        let directory = file
            .parent()
            .filter(|directory| !directory.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        NamedTempFile::with_prefix_in(".backup-", directory).map(Self::File)
    }

    fn write(&mut self, data: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.write_all(data),
            Self::File(temporary) => temporary.write_all(data),
        }
    }

    fn finish(self, file: &Path) -> io::Result<()> {
        match self {
            Self::Stdout(mut stdout) => stdout.flush(),
            Self::File(temporary) => {
                temporary.as_file().sync_all()?;
                temporary.persist(file)?;
                Ok(())
            }
        }
    }
}

fn output(file: &Path) -> impl FnOnce(io::Error) -> AdminError {
    let path = file.to_owned();
    move |source| AdminError::Output { path, source }
}
