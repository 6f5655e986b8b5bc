//! `wasi:filesystem`.

use calls::{Call, Handles, Misunderstood, show};
use serde_json::{Value, json};

use crate::bindings::wasi::filesystem::preopens;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags,
};
use crate::{Shown, stream, text};

#[derive(Default)]
pub struct Files {
    descriptors: Handles<Descriptor>,
}

/// Flags by their names.
macro_rules! flags {
    ($call:expr, $kind:ident) => {{
        let names: Vec<String> = $call.next()?;
        names.iter().fold($kind::empty(), |flags, name| {
            flags | $kind::from_name(&name.to_uppercase().replace('-', "_")).unwrap_or($kind::all())
        })
    }};
}

impl Files {
    pub async fn call(&mut self, call: &mut Call) -> Shown {
        if call.function == "filesystem/preopens#get-directories" {
            let directories = preopens::get_directories().into_iter();
            let paths = directories.map(|(descriptor, path)| {
                self.descriptors.add(descriptor);
                path
            });
            return Ok(show(&paths.collect::<Vec<_>>()));
        }
        let name = call
            .function
            .trim_start_matches("filesystem/types#descriptor.")
            .to_owned();
        let it = self.descriptors.get(call)?;
        Ok(match name.as_str() {
            "read-via-stream" => {
                let (bytes, ended) = it.read_via_stream(call.next()?);
                let bytes = bytes.collect().await;
                json!([text(&bytes), show(&ended.await)])
            }
            "write-via-stream" => show(&it.write_via_stream(stream(call.next()?), call.next()?).await),
            "append-via-stream" => show(&it.append_via_stream(stream(call.next()?)).await),
            "advise" => show(&it.advise(call.next()?, call.next()?, call.next()?).await),
            "sync-data" => show(&it.sync_data().await),
            "get-flags" => show(&it.get_flags().await.map(names)),
            "get-type" => show(&it.get_type().await),
            "set-size" => show(&it.set_size(call.next()?).await),
            "set-times" => show(&it.set_times(call.next()?, call.next()?).await),
            "read-directory" => {
                let (entries, ended) = it.read_directory();
                let mut entries = entries.collect().await;
                entries.sort_by(|one, other| one.name.cmp(&other.name));
                json!([show(&entries), show(&ended.await)])
            }
            "sync" => show(&it.sync().await),
            "create-directory-at" => show(&it.create_directory_at(call.next()?).await),
            "stat" => show(&it.stat().await),
            "stat-at" => show(&it.stat_at(flags!(call, PathFlags), call.next()?).await),
            "set-times-at" => {
                let (follow, path) = (flags!(call, PathFlags), call.next()?);
                show(&it.set_times_at(follow, path, call.next()?, call.next()?).await)
            }
            "link-at" => {
                let (follow, from) = (flags!(call, PathFlags), call.next()?);
                show(
                    &it.link_at(follow, from, self.descriptors.get(call)?, call.next()?)
                        .await,
                )
            }
            "open-at" => {
                let (follow, path) = (flags!(call, PathFlags), call.next()?);
                let made = it
                    .open_at(
                        follow,
                        path,
                        flags!(call, OpenFlags),
                        flags!(call, DescriptorFlags),
                    )
                    .await;
                self.descriptors.keep(made)
            }
            "readlink-at" => show(&it.readlink_at(call.next()?).await),
            "remove-directory-at" => show(&it.remove_directory_at(call.next()?).await),
            "rename-at" => {
                let from = call.next()?;
                show(
                    &it.rename_at(from, self.descriptors.get(call)?, call.next()?)
                        .await,
                )
            }
            "symlink-at" => show(&it.symlink_at(call.next()?, call.next()?).await),
            "unlink-file-at" => show(&it.unlink_file_at(call.next()?).await),
            "is-same-object" => show(&it.is_same_object(self.descriptors.get(call)?).await),
            "metadata-hash" => hashed(it.metadata_hash().await.map(|hash| (hash.lower, hash.upper))),
            "metadata-hash-at" => {
                let hash = it.metadata_hash_at(flags!(call, PathFlags), call.next()?).await;
                hashed(hash.map(|hash| (hash.lower, hash.upper)))
            }
            _ => return Err(Misunderstood::function(&call.function)),
        })
    }
}

fn names(flags: DescriptorFlags) -> Vec<String> {
    flags
        .iter_names()
        .map(|(name, _)| name.to_lowercase().replace('_', "-"))
        .collect()
}

/// A hash says nothing by itself.
fn hashed(hash: Result<(u64, u64), ErrorCode>) -> Value {
    match hash {
        Ok(hash) => json!({"ok": hash != (0, 0)}),
        Err(error) => json!({"err": show(&error)}),
    }
}
