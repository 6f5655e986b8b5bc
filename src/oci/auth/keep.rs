//! Credentials to where they will be found: Docker's `config.json` or the helper that it names, and Spin's file where it has
//! the host already.

use std::io::Write as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};
use serde_json::{Map, Value, json};
use tempfile::NamedTempFile;

use super::super::error::{OciError, blocking};
use super::{CredentialSources, docker, helper};

/// Of the directory of Docker's configuration.
const DIR_MODE: u32 = 0o700;
/// As Docker's own tools write the file.
const INDENT: &[u8] = b"\t";

impl CredentialSources {
    /// Gives the places where they are now.
    pub(crate) async fn keep(&self, host: &str, user: &str, password: &str) -> Result<Vec<String>, OciError> {
        let file = self.docker_file()?;
        let auth = STANDARD.encode(format!("{user}:{password}"));
        let config = read(file).await?;
        let entry = match docker::helper_of(&config, host) {
            Some(name) => {
                helper::store(&name, docker::helper_key(host), user, password)
                    .await
                    .map_err(|reason| of_helper(&name, file, reason))?;
                // It says that there is something, as Docker has it.
                (json!({}), docker_place(file, Some(&name)))
            }
            None => (json!({"auth": auth}), docker_place(file, None)),
        };
        let (entry, place) = entry;
        change(file, host, Some(entry)).await?;
        let mut places = vec![place];
        if let Some(spin) = &self.spin_file
            && change_spin(spin, host, Some(auth)).await?
        {
            places.push(spin.display().to_string());
        }
        Ok(places)
    }

    /// Gives the places where they were.
    pub(crate) async fn forget(&self, host: &str) -> Result<Vec<String>, OciError> {
        let file = self.docker_file()?;
        let config = read(file).await?;
        let mut places = Vec::new();
        if let Some(name) = docker::helper_of(&config, host)
            && helper::erase(&name, docker::helper_key(host))
                .await
                .map_err(|reason| of_helper(&name, file, reason))?
        {
            places.push(docker_place(file, Some(&name)));
        }
        if change(file, host, None).await? && places.is_empty() {
            places.push(docker_place(file, None));
        }
        if let Some(spin) = &self.spin_file
            && change_spin(spin, host, None).await?
        {
            places.push(spin.display().to_string());
        }
        Ok(places)
    }

    fn docker_file(&self) -> Result<&Path, OciError> {
        self.docker_file.as_deref().ok_or_else(|| OciError::Setting {
            what: "Docker's configuration".to_owned(),
            reason: "there is no home directory; say where with DOCKER_CONFIG".to_owned(),
        })
    }
}

fn docker_place(file: &Path, helper: Option<&str>) -> String {
    match helper {
        Some(name) => format!("docker-credential-{name} (named in {})", file.display()),
        None => file.display().to_string(),
    }
}

fn of_helper(name: &str, file: &Path, reason: String) -> OciError {
    let place = docker_place(file, Some(name));
    OciError::Credentials { place, reason }
}

fn of_file(file: &Path) -> impl Fn(String) -> OciError {
    let place = file.display().to_string();
    move |reason| OciError::Credentials {
        place: place.clone(),
        reason,
    }
}

/// Docker's configuration; empty where there is none.
async fn read(file: &Path) -> Result<Map<String, Value>, OciError> {
    let file = file.to_owned();
    blocking(move || read_object(&file)).await
}

fn read_object(file: &Path) -> Result<Map<String, Value>, OciError> {
    let error = of_file(file);
    match std::fs::read(file) {
        // What is there is somebody's: it is not written over.
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|e| error(format!("it is not a JSON object ({e})")))
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Map::new()),
        Err(e) => Err(error(e.to_string())),
    }
}

/// Sets or removes the entry of a host, under all its names. Gives whether there was anything to change.
async fn change(file: &Path, host: &str, entry: Option<Value>) -> Result<bool, OciError> {
    let (file, host) = (file.to_owned(), host.to_owned());
    blocking(move || {
        let mut config = read_object(&file)?;
        let auths = config.entry("auths").or_insert_with(|| json!({}));
        let Some(auths) = auths.as_object_mut() else {
            return Err(of_file(&file)("its \"auths\" is not an object".to_owned()));
        };
        let before = auths.clone();
        auths.retain(|name, _| docker::host_of(name) != host);
        auths.extend(entry.map(|entry| (docker::helper_key(&host).to_owned(), entry)));
        if *auths == before {
            return Ok(false);
        }
        write(&file, &config).map_err(|e| of_file(&file)(e.to_string()))?;
        Ok(true)
    })
    .await
}

/// Sets or removes the entry of a host that Spin's file has. Gives whether it had it.
async fn change_spin(file: &Path, host: &str, auth: Option<String>) -> Result<bool, OciError> {
    let (file, host) = (file.to_owned(), host.to_owned());
    blocking(move || {
        // A file that Spin can't read is none, for Spin and for us.
        let Ok(mut content) = read_object(&file) else {
            return Ok(false);
        };
        let Some(auths) = content.get_mut("auths").and_then(Value::as_object_mut) else {
            return Ok(false);
        };
        if auths.remove(&host).is_none() {
            return Ok(false);
        }
        auths.extend(auth.map(|auth| (host, Value::from(auth))));
        write(&file, &content).map_err(|e| of_file(&file)(e.to_string()))?;
        Ok(true)
    })
    .await
}

/// Replaces the file as a whole, readable by its owner only, behind a link if there is one.
fn write(file: &Path, content: &Map<String, Value>) -> std::io::Result<()> {
    let target: PathBuf = std::fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    let dir = target.parent().unwrap_or(Path::new("."));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(DIR_MODE)
        .create(dir)?;
    // Such files begin with the mode 0600.
    let mut temporary = NamedTempFile::new_in(dir)?;
    let formatter = PrettyFormatter::with_indent(INDENT);
    content.serialize(&mut Serializer::with_formatter(&mut temporary, formatter))?;
    temporary.write_all(b"\n")?;
    temporary.as_file().sync_all()?;
    temporary.persist(target)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::super::Secret;
    use super::*;

    fn sources(home: &Path) -> CredentialSources {
        CredentialSources {
            spin_file: Some(home.join("spin.json")),
            docker_file: Some(home.join("docker/config.json")),
        }
    }

    fn json_of(file: &Path) -> Value {
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn what_is_kept_is_found_and_nothing_else_is_lost() {
        let home = tempfile::tempdir().unwrap();
        let sources = sources(home.path());
        let file = home.path().join("docker/config.json");
        sources
            .keep("reg.example:5000", "ada", "pass:word")
            .await
            .unwrap();
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let found = sources.find("reg.example:5000").await.unwrap();
        let (user, password) = ("ada".to_owned(), "pass:word".to_owned());
        assert!(found.secret == Secret::Password { user, password });

        let before = json!({
            "HttpHeaders": {"A": "b"},
            "auths": {
                "https://reg.example:5000/v1/": {"auth": "b2xkOm9sZA==", "identitytoken": "old"},
                "quay.io": {"auth": "eDp5"},
            },
        });
        let linked = home.path().join("elsewhere.json");
        fs::write(&linked, before.to_string()).unwrap();
        fs::remove_file(&file).unwrap();
        symlink(&linked, &file).unwrap();
        sources.keep("reg.example:5000", "ada", "new").await.unwrap();
        let after = json!({
            "HttpHeaders": {"A": "b"},
            "auths": {"reg.example:5000": {"auth": "YWRhOm5ldw=="}, "quay.io": {"auth": "eDp5"}},
        });
        assert_eq!(json_of(&linked), after);
        assert!(file.is_symlink());

        assert_eq!(sources.forget("reg.example:5000").await.unwrap().len(), 1);
        assert_eq!(json_of(&file)["auths"], json!({"quay.io": {"auth": "eDp5"}}));
        assert!(sources.forget("reg.example:5000").await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn spins_file_follows_only_where_it_has_the_host() {
        let home = tempfile::tempdir().unwrap();
        let sources = sources(home.path());
        let spin = home.path().join("spin.json");
        fs::write(&spin, json!({"auths": {"ghcr.io": "b2xkOm9sZA=="}}).to_string()).unwrap();
        assert_eq!(sources.keep("quay.io", "a", "b").await.unwrap().len(), 1);
        assert_eq!(sources.keep("ghcr.io", "ada", "new").await.unwrap().len(), 2);
        assert_eq!(json_of(&spin), json!({"auths": {"ghcr.io": "YWRhOm5ldw=="}}));
        assert_eq!(sources.forget("ghcr.io").await.unwrap().len(), 2);
        assert!(sources.find("ghcr.io").await.is_none());
    }

    #[tokio::test]
    async fn the_hub_has_the_name_that_docker_gives_it() {
        let home = tempfile::tempdir().unwrap();
        let sources = sources(home.path());
        sources.keep("index.docker.io", "ada", "new").await.unwrap();
        let auths = &json_of(&home.path().join("docker/config.json"))["auths"];
        assert!(
            auths["https://index.docker.io/v1/"]["auth"].is_string(),
            "{auths}"
        );
        assert!(sources.find("index.docker.io").await.is_some());
    }

    #[tokio::test]
    async fn a_file_that_is_no_json_is_left_as_it_is() {
        let home = tempfile::tempdir().unwrap();
        let sources = sources(home.path());
        let file = home.path().join("docker/config.json");
        fs::create_dir(home.path().join("docker")).unwrap();
        fs::write(&file, "{ // mine").unwrap();
        let error = sources.keep("ghcr.io", "a", "b").await.unwrap_err().to_string();
        assert!(
            error.contains("config.json") && error.contains("not a JSON object"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&file).unwrap(), "{ // mine");
    }
}
