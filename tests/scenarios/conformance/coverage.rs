//! Whether the table tells of every function that is linked, by the definitions of `wit/` and of WASI.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use wit_parser::{Function, InterfaceId, Resolve, Stability, WorldItem};

use crate::support::guests::{repository, source};

use super::table::Table;

/// Functions without a row of their own: all of what is named, an interface's name by its end, or one function. Each with a
/// reason.
const EXCEPTIONS: [(&str, &str); 2] = [
    (
        "@0.2.0-rc-2023-10-18",
        "the functions of 0.2 under older names, linked onto the same implementation; a test of `src/host/wasi_rc` \
         holds each against its definition, and another runs `wasi-rc-october`",
    ),
    ("@0.2.0-rc-2023-11-10", "the same, by `wasi-rc-november`"),
];

/// Why what a definition calls unstable is left out.
const UNSTABLE: &str = "is unstable in the definitions of WASI: the engine links it only when asked";

/// Fails for every function that has neither a row nor a reason, and for a reason that is not needed; lists the reasons.
pub fn check(table: &mut Table) {
    let mut needed = BTreeSet::new();
    let mut unstable: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for linked in linked() {
        let told = |function: &String| table.tells_of(&linked.interface, function);
        if told(&linked.function) || linked.short.as_ref().is_some_and(told) {
            continue;
        }
        let name = format!("{}#{}", linked.interface, linked.function);
        let excepted = |(what, _): &&(&str, &str)| name == *what || linked.interface.ends_with(what);
        if let Some((what, _)) = EXCEPTIONS.iter().find(excepted) {
            needed.insert(*what);
        } else if let Some(feature) = linked.unstable {
            unstable.entry(feature).or_default().insert(name);
        } else {
            table.fail(format!("no row tells of {name}"));
        }
    }
    for (what, _) in EXCEPTIONS {
        if !needed.contains(what) {
            table.fail(format!("rows tell of all of {what}, which is an exception"));
        }
    }
    let excepted = EXCEPTIONS.map(|(what, reason)| match what.strip_prefix('@') {
        Some(version) => format!("`wasi:*@{version}`: {reason}."),
        None => format!("`{what}`: {reason}."),
    });
    let unstable = unstable.into_iter().map(|(feature, names)| {
        let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
        format!("{} ({feature}) {UNSTABLE}.", names.join(", "))
    });
    table.list("Functions without a row", excepted.into_iter().chain(unstable));
}

/// A function that the host links, or that a trigger calls.
struct Linked {
    interface: String,
    /// With its resource, where it has one: `fields.get`, `fields.new`.
    function: String,
    /// Without its resource, if it is the only one of its interface that is called so.
    short: Option<String>,
    /// The feature that it belongs to.
    unstable: Option<String>,
}

fn linked() -> Vec<Linked> {
    let mut linked = Vec::new();
    let wit = repository().join("wit");
    let mut directories = vec![
        wit.join("host"),
        source("wasip2", "2.").join("wit"),
        source("wasip3", "0.7.").join("wit"),
    ];
    let candidates = std::fs::read_dir(&wit).expect("wit/ is there");
    let candidates = candidates.map(|entry| entry.expect("an entry").path());
    directories.extend(candidates.filter(|path: &PathBuf| !path.ends_with("host")));
    for directory in directories {
        linked.extend(of_directory(&directory));
    }
    // Beside the host's own definitions for their types alone: a later version serves them.
    linked.retain(|linked| !(linked.interface.starts_with("wasi:") && linked.interface.ends_with("@0.2.0")));
    // A daemon that is built without the feature has no such trigger.
    linked.retain(|linked| cfg!(feature = "aws") || !linked.interface.contains("sqs"));
    linked
}

/// What the worlds below a directory import and export.
fn of_directory(directory: &Path) -> Vec<Linked> {
    let mut resolve = Resolve {
        all_features: true,
        ..Resolve::default()
    };
    resolve
        .push_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error:#}", directory.display()));
    let mut interfaces = BTreeSet::new();
    let mut linked = Vec::new();
    for (_, world) in resolve.worlds.iter() {
        for item in world.imports.values().chain(world.exports.values()) {
            if let WorldItem::Interface { id, .. } = item {
                interfaces.insert(*id);
            }
        }
        // What a trigger's guest exports by itself belongs to the package of the types that it uses.
        let package = world.imports.values().find_map(|item| match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].package,
            _ => None,
        });
        for (_, item) in &world.exports {
            if let (WorldItem::Function(function), Some(package)) = (item, package) {
                linked.push(named(&resolve.packages[package].name.to_string(), function, &[]));
            }
        }
    }
    for id in interfaces {
        linked.extend(of_interface(&resolve, id));
    }
    linked
}

fn of_interface(resolve: &Resolve, id: InterfaceId) -> Vec<Linked> {
    // In WASI's own worlds, types that are defined in place have no name.
    let Some(name) = resolve.id_of(id) else {
        return Vec::new();
    };
    let functions: Vec<_> = resolve.interfaces[id].functions.values().collect();
    functions
        .iter()
        .map(|function| named(&name, function, &functions))
        .collect()
}

fn named(interface: &str, function: &Function, siblings: &[&Function]) -> Linked {
    let full = full_name(function);
    let short = full.split_once('.').map(|(resource, short)| match short {
        "new" => resource.to_owned(),
        _ => short.to_owned(),
    });
    let is_only = |short: &String| {
        let called_so = siblings.iter().filter(|other| {
            let other = full_name(other);
            other.rsplit('.').next() == Some(short.as_str())
        });
        called_so.count() <= 1
    };
    Linked {
        interface: interface.to_owned(),
        short: short.filter(is_only),
        function: full,
        unstable: match &function.stability {
            Stability::Unstable { feature, .. } => Some(feature.clone()),
            _ => None,
        },
    }
}

/// `[method]fields.get` as `fields.get`, `[constructor]fields` as `fields.new`.
fn full_name(function: &Function) -> String {
    match function.name.split_once(']') {
        Some(("[constructor", resource)) => format!("{resource}.new"),
        Some((_, name)) => name.to_owned(),
        None => function.name.clone(),
    }
}
