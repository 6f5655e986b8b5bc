//! `wasi:filesystem`.

use calls::{Call, Handles, Misunderstood, show};
use serde_json::{Value, json};

use crate::Shown;
use crate::bindings::wasi::filesystem::preopens;
use crate::bindings::wasi::filesystem::types::{
    Descriptor, DescriptorFlags, DirectoryEntryStream, ErrorCode, OpenFlags, PathFlags, filesystem_error_code,
};
use crate::io::Io;

#[derive(Default)]
pub struct Files {
    entries: Handles<DirectoryEntryStream>,
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
    pub fn call(&mut self, call: &mut Call, io: &mut Io) -> Shown {
        Ok(match call.function.as_str() {
            "filesystem/preopens#get-directories" => {
                let directories = preopens::get_directories().into_iter();
                let paths = directories.map(|(descriptor, path)| {
                    self.descriptors.add(descriptor);
                    path
                });
                show(&paths.collect::<Vec<_>>())
            }
            "filesystem/types#filesystem-error-code" => show(&filesystem_error_code(io.errors.get(call)?)),
            "filesystem/types#directory-entry-stream.read-directory-entry" => {
                show(&self.entries.get(call)?.read_directory_entry())
            }
            _ => return self.descriptor(call, io),
        })
    }

    fn descriptor(&mut self, call: &mut Call, io: &mut Io) -> Shown {
        let name = call
            .function
            .trim_start_matches("filesystem/types#descriptor.")
            .to_owned();
        let it = self.descriptors.get(call)?;
        Ok(match name.as_str() {
            "read-via-stream" => io.inputs.keep(it.read_via_stream(call.next()?)),
            "write-via-stream" => io.outputs.keep(it.write_via_stream(call.next()?)),
            "append-via-stream" => io.outputs.keep(it.append_via_stream()),
            "advise" => show(&it.advise(call.next()?, call.next()?, call.next()?)),
            "sync-data" => show(&it.sync_data()),
            "get-flags" => show(&it.get_flags().map(names)),
            "get-type" => show(&it.get_type()),
            "set-size" => show(&it.set_size(call.next()?)),
            "set-times" => show(&it.set_times(call.next()?, call.next()?)),
            "read" => show(
                &it.read(call.next()?, call.next()?)
                    .map(|(bytes, end)| (text(&bytes), end)),
            ),
            "write" => show(&it.write(&call.next::<Vec<u8>>()?, call.next()?)),
            "read-directory" => {
                let made = it.read_directory();
                self.entries.keep(made)
            }
            "sync" => show(&it.sync()),
            "create-directory-at" => show(&it.create_directory_at(&call.next::<String>()?)),
            "stat" => show(&it.stat()),
            "stat-at" => show(&it.stat_at(flags!(call, PathFlags), &call.next::<String>()?)),
            "set-times-at" => show(&it.set_times_at(
                flags!(call, PathFlags),
                &call.next::<String>()?,
                call.next()?,
                call.next()?,
            )),
            "link-at" => {
                let (follow, from) = (flags!(call, PathFlags), call.next::<String>()?);
                show(&it.link_at(
                    follow,
                    &from,
                    self.descriptors.get(call)?,
                    &call.next::<String>()?,
                ))
            }
            "open-at" => {
                let (follow, path) = (flags!(call, PathFlags), call.next::<String>()?);
                let made = it.open_at(
                    follow,
                    &path,
                    flags!(call, OpenFlags),
                    flags!(call, DescriptorFlags),
                );
                self.descriptors.keep(made)
            }
            "readlink-at" => show(&it.readlink_at(&call.next::<String>()?)),
            "remove-directory-at" => show(&it.remove_directory_at(&call.next::<String>()?)),
            "rename-at" => {
                let from = call.next::<String>()?;
                show(&it.rename_at(&from, self.descriptors.get(call)?, &call.next::<String>()?))
            }
            "symlink-at" => show(&it.symlink_at(&call.next::<String>()?, &call.next::<String>()?)),
            "unlink-file-at" => show(&it.unlink_file_at(&call.next::<String>()?)),
            "is-same-object" => show(&it.is_same_object(self.descriptors.get(call)?)),
            "metadata-hash" => hashed(it.metadata_hash().map(|hash| (hash.lower, hash.upper))),
            "metadata-hash-at" => {
                let hash = it.metadata_hash_at(flags!(call, PathFlags), &call.next::<String>()?);
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

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A hash says nothing by itself.
fn hashed(hash: Result<(u64, u64), ErrorCode>) -> Value {
    match hash {
        Ok(hash) => json!({"ok": hash != (0, 0)}),
        Err(error) => json!({"err": show(&error)}),
    }
}
