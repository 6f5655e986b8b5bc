//! Files: `/data` may only be read, `/scratch` takes everything.

use crate::bindings::wasi::cli::stdout;
use crate::bindings::wasi::filesystem::preopens;
use crate::bindings::wasi::filesystem::types::{
    filesystem_error_code, Advice, Descriptor, DescriptorFlags, ErrorCode, NewTimestamp, OpenFlags,
    PathFlags,
};
use crate::bindings::wasi::io::streams::StreamError;
use crate::streams::{read_all, write_all};
use crate::Report;

const NO_PATH_FLAGS: PathFlags = PathFlags::empty();

pub fn try_all(report: &mut Report) {
    let directories = preopens::get_directories();
    let named = |name: &str| {
        let found = directories.iter().find(|(_, path)| path == name);
        &found.expect("the host gives it").0
    };
    reading(named("/data"), report);
    writing(named("/scratch"), report);
    older(named("/data"), report);
}

fn reading(data: &Descriptor, report: &mut Report) {
    let file = open(data, "hello.txt", OpenFlags::empty(), DescriptorFlags::READ).unwrap();
    report.push(("text", text(read_all(file.read_via_stream(0).unwrap()))));
    report.push(("part", format!("{:?}", file.read(4, 1).map(|(bytes, end)| (text(bytes), end)))));
    let stat = file.stat().unwrap();
    report.push(("stat", format!("{:?} {}", stat.type_, stat.size)));
    report.push(("type", format!("{:?}", file.get_type())));
    report.push(("flags", format!("{:?}", file.get_flags())));
    report.push(("advise", format!("{:?}", file.advise(0, 4, Advice::Sequential))));
    let same = open(data, "hello.txt", OpenFlags::empty(), DescriptorFlags::READ).unwrap();
    let hashes = (file.metadata_hash(), data.metadata_hash_at(NO_PATH_FLAGS, "hello.txt"));
    let hashes = (hashes.0.unwrap(), hashes.1.unwrap());
    let equal = (hashes.0.lower, hashes.0.upper) == (hashes.1.lower, hashes.1.upper);
    report.push(("same", (file.is_same_object(&same) && equal).to_string()));
    let missing = data.stat_at(NO_PATH_FLAGS, "nothing").map(|_| ());
    report.push(("missing", format!("{missing:?}")));
    let refused = open(data, "new", OpenFlags::CREATE, DescriptorFlags::WRITE).map(|_| ());
    report.push(("refused", format!("{refused:?}")));
    let entries = data.read_directory().unwrap();
    let mut names = Vec::new();
    while let Some(entry) = entries.read_directory_entry().unwrap() {
        names.push(entry.name);
    }
    names.sort();
    report.push(("names", names.join(" ")));
    write_all(&stdout::get_stdout(), b"copied: ");
    copy(&file);
}

fn writing(scratch: &Descriptor, report: &mut Report) {
    let everything = DescriptorFlags::READ | DescriptorFlags::WRITE;
    let file = open(scratch, "a", OpenFlags::CREATE | OpenFlags::TRUNCATE, everything).unwrap();
    write_all(&file.write_via_stream(0).unwrap(), b"one");
    write_all(&file.append_via_stream().unwrap(), b"two");
    assert_eq!(file.write(b"!", 6), Ok(1));
    let steps: [Result<(), ErrorCode>; 12] = [
        file.sync(),
        file.sync_data(),
        file.set_size(5),
        file.set_times(NewTimestamp::Now, NewTimestamp::NoChange),
        scratch.set_times_at(NO_PATH_FLAGS, "a", NewTimestamp::NoChange, NewTimestamp::Now),
        scratch.create_directory_at("d"),
        scratch.link_at(NO_PATH_FLAGS, "a", scratch, "b"),
        scratch.rename_at("b", scratch, "c"),
        scratch.symlink_at("c", "s"),
        scratch.readlink_at("s").map(|target| assert_eq!(target, "c")),
        scratch.unlink_file_at("s"),
        scratch.remove_directory_at("d"),
    ];
    report.push(("steps", format!("{:?}", steps.iter().filter(|step| step.is_err()).count())));
    let copy = open(scratch, "c", OpenFlags::empty(), DescriptorFlags::READ).unwrap();
    report.push(("written", text(read_all(copy.read_via_stream(0).unwrap()))));
    let stream = copy.write_via_stream(0).map(|_| ());
    report.push(("unwritable", format!("{stream:?}")));
    let directory = open(scratch, "gone", OpenFlags::CREATE, everything).unwrap();
    let failed = directory.read_via_stream(u64::MAX).unwrap().blocking_read(1);
    report.push(("stream-error", match failed {
        Ok(_) => "none".to_string(),
        Err(StreamError::Closed) => "closed".to_string(),
        Err(StreamError::LastOperationFailed(error)) => format!("{:?}", filesystem_error_code(&error)),
    }));
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

#[cfg(feature = "october")]
fn open(at: &Descriptor, path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, ErrorCode> {
    use crate::bindings::wasi::filesystem::types::Modes;
    at.open_at(NO_PATH_FLAGS, path, how, flags, Modes::READABLE | Modes::WRITABLE)
}

#[cfg(feature = "november")]
fn open(at: &Descriptor, path: &str, how: OpenFlags, flags: DescriptorFlags) -> Result<Descriptor, ErrorCode> {
    at.open_at(NO_PATH_FLAGS, path, how, flags)
}

#[cfg(feature = "october")]
fn copy(file: &Descriptor) {
    let out = stdout::get_stdout();
    out.blocking_splice(file.read_via_stream(0).unwrap(), 5).unwrap();
    assert_eq!(out.forward(file.read_via_stream(5).unwrap()).unwrap(), file.stat().unwrap().size - 5);
}

#[cfg(feature = "november")]
fn copy(file: &Descriptor) {
    let (out, from) = (stdout::get_stdout(), file.read_via_stream(0).unwrap());
    while out.blocking_splice(&from, 5).is_ok() {}
}

#[cfg(feature = "october")]
fn older(data: &Descriptor, report: &mut Report) {
    use crate::bindings::wasi::filesystem::types::{AccessType, Modes};
    let access = |path, access| data.access_at(NO_PATH_FLAGS, path, access);
    report.push(("exists", format!("{:?}", access("hello.txt", AccessType::Exists))));
    report.push(("exists-not", format!("{:?}", access("nothing", AccessType::Exists))));
    let rest = [
        access("hello.txt", AccessType::Access(Modes::READABLE)),
        data.change_file_permissions_at(NO_PATH_FLAGS, "hello.txt", Modes::READABLE),
        data.change_directory_permissions_at(NO_PATH_FLAGS, ".", Modes::READABLE),
        data.lock_shared(),
        data.lock_exclusive(),
        data.try_lock_shared(),
        data.try_lock_exclusive(),
        data.unlock(),
    ];
    let unsupported = rest.iter().all(|answer| *answer == Err(ErrorCode::Unsupported));
    report.push(("unsupported", unsupported.to_string()));
}

#[cfg(feature = "november")]
fn older(_: &Descriptor, _: &mut Report) {}
