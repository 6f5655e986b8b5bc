//! Docker's credential helpers: a program that is given a host and prints a secret (`docs/contract/oci.md` §7).

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{Credential, Secret};

/// A helper may ask a cloud for a token, but a person to type something is not there.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The user name by which a helper says that its secret is an identity token.
const TOKEN_USER: &str = "<token>";
/// What a helper prints when it simply has nothing for the host.
const NOTHING_FOUND: &str = "credentials not found";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    #[serde(default)]
    pub(super) username: String,
    pub(super) secret: String,
}

/// Asks `docker-credential-<name>`; whatever goes wrong is logged and counts as no credential.
pub(super) async fn ask(name: &str, key: &str, config: &Path) -> Option<Credential> {
    let program = format!("docker-credential-{name}");
    let reason = match tokio::time::timeout(TIMEOUT, run(&program, key)).await {
        Ok(Ok(Some(answer))) => {
            let secret = if answer.username == TOKEN_USER {
                Secret::IdentityToken(answer.secret)
            } else {
                Secret::Password {
                    user: answer.username,
                    password: answer.secret,
                }
            };
            return Some(Credential {
                secret,
                origin: format!("{program} (named in {})", config.display()),
            });
        }
        Ok(Ok(None)) => return None,
        Ok(Err(reason)) => reason,
        Err(_) => format!("it did not answer within {} seconds", TIMEOUT.as_secs()),
    };
    tracing::warn!(
        helper = program,
        host = key,
        reason,
        "credential helper failed; continuing without credentials"
    );
    None
}

/// `None`: it has nothing for the host. The error is a sentence for the log and never holds what it printed on success.
async fn run(program: &str, key: &str) -> Result<Option<Answer>, String> {
    if program.contains('/') {
        return Err("its name contains a slash".to_owned());
    }
    run_path(Path::new(program), key).await
}

pub(super) async fn run_path(program: &Path, key: &str) -> Result<Option<Answer>, String> {
    match talk(program, "get", key).await? {
        Ok(answer) => serde_json::from_slice(&answer)
            .map(Some)
            .map_err(|_| "its answer is not valid".to_owned()),
        Err(said) if said.contains(NOTHING_FOUND) => Ok(None),
        Err(said) => Err(said),
    }
}

/// Has `docker-credential-<name>` keep a credential. The error is a sentence without the secret.
pub(super) async fn store(name: &str, key: &str, user: &str, password: &str) -> Result<(), String> {
    let entry = json!({"ServerURL": key, "Username": user, "Secret": password});
    command(name, "store", &entry.to_string()).await?.map(drop)
}

/// Has it forget one; `false`: it had none.
pub(super) async fn erase(name: &str, key: &str) -> Result<bool, String> {
    match command(name, "erase", key).await? {
        Ok(_) => Ok(true),
        Err(said) if said.contains(NOTHING_FOUND) => Ok(false),
        Err(said) => Err(said),
    }
}

async fn command(name: &str, verb: &str, input: &str) -> Result<Result<Vec<u8>, String>, String> {
    if name.contains('/') {
        return Err("its name contains a slash".to_owned());
    }
    let program = format!("docker-credential-{name}");
    let talk = talk(Path::new(&program), verb, input);
    let answer = tokio::time::timeout(TIMEOUT, talk).await;
    answer.unwrap_or_else(|_| Err(format!("it did not answer within {} seconds", TIMEOUT.as_secs())))
}

/// What it prints, or what it says when it fails; the outer error: it can't be run.
async fn talk(program: &Path, verb: &str, input: &str) -> Result<Result<Vec<u8>, String>, String> {
    let mut child = Command::new(program)
        .arg(verb)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // The timeout drops this future; the program must not outlive it.
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("it cannot be run: {e}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not read its input may still know the answer.
        drop(stdin.write_all(input.as_bytes()).await);
    }
    let output = child
        .wait_with_output()
        .await
        .map_err(|e| format!("it cannot be waited for: {e}"))?;
    if output.status.success() {
        return Ok(Ok(output.stdout));
    }
    let said = String::from_utf8_lossy(if output.stdout.is_empty() {
        &output.stderr
    } else {
        &output.stdout
    });
    Ok(Err(format!("{}: {}", output.status, said.trim())))
}
