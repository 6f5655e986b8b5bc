//! `wasi:filesystem`.

use wasmtime::component::{ComponentType, Lift, Linker, Resource, flags};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystem, WasiFilesystemView};
use wasmtime_wasi::p2::FsError;
use wasmtime_wasi::p2::bindings::filesystem::preopens::Host as _;
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DirectoryEntryStream, ErrorCode, Host as _, HostDescriptor, HostDirectoryEntryStream, PathFlags,
};

use super::Candidate;
use super::interface::Interface;

type Files<'linker, T> = Interface<'linker, T, WasiFilesystem>;

flags! {
    Modes {
        #[component(name = "readable")]
        const READABLE;
        #[component(name = "writable")]
        const WRITABLE;
        #[component(name = "executable")]
        const EXECUTABLE;
    }
}

/// What October's `access-at` asks.
#[derive(ComponentType, Lift)]
#[component(variant)]
enum AccessType {
    #[component(name = "access")]
    #[expect(
        dead_code,
        reason = "it has to be there for the shape; none of them has an answer"
    )]
    Access(Modes),
    #[component(name = "exists")]
    Exists,
}

pub(super) fn link<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    candidate: Candidate,
) -> wasmtime::Result<()> {
    let mut preopens = Files::new(linker, candidate, "wasi:filesystem/preopens", T::filesystem)?;
    preopens.value("get-directories", |files, ()| files.get_directories())?;

    let mut types = Files::new(linker, candidate, "wasi:filesystem/types", T::filesystem)?;
    types.value("filesystem-error-code", |files, (error,)| {
        files.filesystem_error_code(error)
    })?;
    types.resource::<Descriptor>("descriptor", |files, this| HostDescriptor::drop(files, this))?;
    contents(&mut types)?;
    properties(&mut types)?;
    directories(&mut types)?;
    match candidate {
        Candidate::October => october(&mut types),
        Candidate::November => types.attempt_async(
            "[method]descriptor.open-at",
            |files, (this, path_flags, path, open_flags, flags)| {
                Box::pin(files.open_at(this, path_flags, path, open_flags, flags))
            },
        ),
    }
}

fn contents<T: WasiView + 'static>(types: &mut Files<'_, T>) -> wasmtime::Result<()> {
    types.attempt("[method]descriptor.read-via-stream", |files, (this, offset)| {
        files.read_via_stream(this, offset)
    })?;
    types.attempt("[method]descriptor.write-via-stream", |files, (this, offset)| {
        files.write_via_stream(this, offset)
    })?;
    types.attempt("[method]descriptor.append-via-stream", |files, (this,)| {
        files.append_via_stream(this)
    })?;
    types.attempt_async(
        "[method]descriptor.advise",
        |files, (this, offset, len, advice)| Box::pin(files.advise(this, offset, len, advice)),
    )?;
    types.attempt_async("[method]descriptor.read", |files, (this, len, offset)| {
        Box::pin(files.read(this, len, offset))
    })?;
    types.attempt_async("[method]descriptor.write", |files, (this, buffer, offset)| {
        Box::pin(files.write(this, buffer, offset))
    })?;
    types.attempt_async("[method]descriptor.set-size", |files, (this, size)| {
        Box::pin(files.set_size(this, size))
    })?;
    types.attempt_async("[method]descriptor.sync-data", |files, (this,)| {
        Box::pin(files.sync_data(this))
    })?;
    types.attempt_async("[method]descriptor.sync", |files, (this,)| {
        Box::pin(files.sync(this))
    })
}

fn properties<T: WasiView + 'static>(types: &mut Files<'_, T>) -> wasmtime::Result<()> {
    types.attempt_async("[method]descriptor.get-flags", |files, (this,)| {
        Box::pin(files.get_flags(this))
    })?;
    types.attempt_async("[method]descriptor.get-type", |files, (this,)| {
        Box::pin(files.get_type(this))
    })?;
    types.attempt_async("[method]descriptor.stat", |files, (this,)| {
        Box::pin(files.stat(this))
    })?;
    types.attempt_async("[method]descriptor.stat-at", |files, (this, flags, path)| {
        Box::pin(files.stat_at(this, flags, path))
    })?;
    types.attempt_async(
        "[method]descriptor.set-times",
        |files, (this, accessed, modified)| Box::pin(files.set_times(this, accessed, modified)),
    )?;
    types.attempt_async(
        "[method]descriptor.set-times-at",
        |files, (this, flags, path, accessed, modified)| {
            Box::pin(files.set_times_at(this, flags, path, accessed, modified))
        },
    )?;
    types.value_async("[method]descriptor.is-same-object", |files, (this, other)| {
        Box::pin(files.is_same_object(this, other))
    })?;
    types.attempt_async("[method]descriptor.metadata-hash", |files, (this,)| {
        Box::pin(files.metadata_hash(this))
    })?;
    types.attempt_async(
        "[method]descriptor.metadata-hash-at",
        |files, (this, flags, path)| Box::pin(files.metadata_hash_at(this, flags, path)),
    )
}

fn directories<T: WasiView + 'static>(types: &mut Files<'_, T>) -> wasmtime::Result<()> {
    types.resource::<DirectoryEntryStream>("directory-entry-stream", |files, this| {
        HostDirectoryEntryStream::drop(files, this)
    })?;
    types.attempt_async(
        "[method]directory-entry-stream.read-directory-entry",
        |files, (this,)| Box::pin(files.read_directory_entry(this)),
    )?;
    types.attempt_async("[method]descriptor.read-directory", |files, (this,)| {
        Box::pin(files.read_directory(this))
    })?;
    types.attempt_async("[method]descriptor.create-directory-at", |files, (this, path)| {
        Box::pin(files.create_directory_at(this, path))
    })?;
    types.attempt_async("[method]descriptor.remove-directory-at", |files, (this, path)| {
        Box::pin(files.remove_directory_at(this, path))
    })?;
    types.attempt_async("[method]descriptor.unlink-file-at", |files, (this, path)| {
        Box::pin(files.unlink_file_at(this, path))
    })?;
    types.attempt_async("[method]descriptor.readlink-at", |files, (this, path)| {
        Box::pin(files.readlink_at(this, path))
    })?;
    types.attempt_async(
        "[method]descriptor.symlink-at",
        |files, (this, old_path, new_path)| Box::pin(files.symlink_at(this, old_path, new_path)),
    )?;
    types.attempt_async(
        "[method]descriptor.rename-at",
        |files, (this, old_path, to, new_path)| Box::pin(files.rename_at(this, old_path, to, new_path)),
    )?;
    types.attempt_async(
        "[method]descriptor.link-at",
        |files, (this, old_flags, old_path, to, new_path)| {
            Box::pin(files.link_at(this, old_flags, old_path, to, new_path))
        },
    )
}

/// What was taken out after October. Nothing implemented it at the time either, so guests are told rather than served: only
/// whether a path exists has an answer, and the permissions of a new file are the host's own affair.
fn october<T: WasiView + 'static>(types: &mut Files<'_, T>) -> wasmtime::Result<()> {
    types.attempt_async(
        "[method]descriptor.open-at",
        |files, (this, path_flags, path, open_flags, flags, _): (_, _, _, _, _, Modes)| {
            Box::pin(files.open_at(this, path_flags, path, open_flags, flags))
        },
    )?;
    types.attempt_async(
        "[method]descriptor.access-at",
        |files, (this, flags, path, access)| {
            Box::pin(async move {
                match access {
                    AccessType::Exists => files.stat_at(this, flags, path).await.map(|_| ()),
                    AccessType::Access(_) => unsupported(),
                }
            })
        },
    )?;
    for name in ["change-file-permissions-at", "change-directory-permissions-at"] {
        type Params = (Resource<Descriptor>, PathFlags, String, Modes);
        types.attempt(&format!("[method]descriptor.{name}"), |_, _: Params| {
            unsupported()
        })?;
    }
    for name in [
        "lock-shared",
        "lock-exclusive",
        "try-lock-shared",
        "try-lock-exclusive",
        "unlock",
    ] {
        type Params = (Resource<Descriptor>,);
        types.attempt(&format!("[method]descriptor.{name}"), |_, _: Params| {
            unsupported()
        })?;
    }
    Ok(())
}

fn unsupported() -> Result<(), FsError> {
    Err(ErrorCode::Unsupported.into())
}
