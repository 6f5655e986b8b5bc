//! The definitions of `wit/host/` against those inside Spin's Rust SDKs (docs/contract/host-interfaces.md §10): the same
//! interfaces, functions and types, cases and members in the same order.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use wit_parser::{FunctionKind, Handle, Interface, Resolve, Type, TypeDefKind, TypeId};

use crate::support::guests::{repository, source};

/// Which packages of the SDKs are the host's concern: all versions of them.
const PACKAGES: [&str; 11] = [
    "fermyon:spin",
    "spin:key-value",
    "spin:mqtt",
    "spin:mysql",
    "spin:postgres",
    "spin:redis",
    "spin:sqlite",
    "spin:variables",
    "wasi:config",
    "wasi:keyvalue",
    "wasi:otel",
];

/// Packages that are here only as far as others use their types: the engine's own crates define the rest.
const AS_USED: [&str; 2] = ["wasi:clocks", "wasi:io"];

/// Versions that a later one of the same package serves, by semantic versioning.
const SERVED_BY_LATER: [(&str, &str); 2] = [
    ("spin:postgres/postgres@4.0.0", "spin:postgres/postgres@4.2.0"),
    ("spin:sqlite/sqlite@3.0.0", "spin:sqlite/sqlite@3.1.0"),
];

/// In no published crate: docs/contract/triggers.md §8.
const IN_NO_CRATE: [&str; 7] = [
    "fermyon:spin-cron",
    "fermyon:spin-sqs",
    "spin:cron",
    "spin:mqtt-trigger",
    "spin:sqs",
    "lepton:host",
    "wasi:io",
];

type Definitions = BTreeMap<String, BTreeMap<String, String>>;

#[test]
fn the_definitions_are_those_of_spins_sdks() {
    let ours = definitions(&repository().join("wit/host"));
    let mut compared = BTreeSet::new();
    for version in ["5.2.0", "7.0.0"] {
        for (interface, theirs) in definitions(&source("spin-sdk", version).join("wit")) {
            if !is_concern(&interface, &ours) {
                continue;
            }
            let later = SERVED_BY_LATER.iter().find(|(old, _)| *old == interface);
            let name = later.map_or(interface.as_str(), |(_, later)| later);
            let ours = ours
                .get(name)
                .unwrap_or_else(|| panic!("wit/host lacks {name}, which SDK {version} has"));
            for (item, theirs) in &theirs {
                let ours = ours.get(item).map(|form| form.replace(name, &interface));
                let told = format!("{item} of {interface} (SDK {version})");
                match later {
                    // A later minor version may have further cases at the end of what only it hands out.
                    Some(_) if ours.is_some() => {}
                    _ => assert_eq!(ours.as_ref(), Some(theirs), "{told}"),
                }
            }
            if later.is_none() && !theirs.is_empty() {
                let more: Vec<_> = ours.keys().filter(|item| !theirs.contains_key(*item)).collect();
                assert!(
                    more.is_empty(),
                    "{interface} has more than SDK {version}: {more:?}"
                );
            }
            compared.insert(name.to_owned());
        }
    }
    let uncompared: Vec<_> = ours
        .keys()
        .filter(|name| !compared.contains(*name) && !IN_NO_CRATE.contains(&package(name)))
        .collect();
    assert!(uncompared.is_empty(), "in no SDK: {uncompared:?}");
}

fn is_concern(interface: &str, ours: &Definitions) -> bool {
    let package = package(interface);
    PACKAGES.contains(&package) || (AS_USED.contains(&package) && ours.contains_key(interface))
}

/// `namespace:name` of an interface's name.
fn package(interface: &str) -> &str {
    interface.split('/').next().unwrap_or_default()
}

/// Every interface below a directory, by name: its functions and types, each in a form that can be compared.
fn definitions(directory: &Path) -> Definitions {
    let mut resolve = Resolve::default();
    resolve
        .push_dir(directory)
        .unwrap_or_else(|error| panic!("{}: {error:#}", directory.display()));
    let named = resolve.interfaces.iter().filter_map(|(id, interface)| {
        interface.name.as_ref()?;
        Some((resolve.id_of(id)?, items(&resolve, interface)))
    });
    named.collect()
}

fn items(resolve: &Resolve, interface: &Interface) -> BTreeMap<String, String> {
    let types = interface
        .types
        .iter()
        .map(|(name, id)| (format!("type {name}"), definition(resolve, *id)));
    let functions = interface.functions.iter().map(|(name, function)| {
        let kind = match function.kind {
            FunctionKind::Freestanding
            | FunctionKind::Method(_)
            | FunctionKind::Static(_)
            | FunctionKind::Constructor(_) => "func",
            FunctionKind::AsyncFreestanding | FunctionKind::AsyncMethod(_) | FunctionKind::AsyncStatic(_) => {
                "async func"
            }
        };
        let parameters = function
            .params
            .iter()
            .map(|parameter| format!("{}: {}", parameter.name, form(resolve, &parameter.ty)));
        let parameters: Vec<_> = parameters.collect();
        let result = optional(resolve, function.result.as_ref());
        (
            format!("func {name}"),
            format!("{kind}({}) -> {result}", parameters.join(", ")),
        )
    });
    types.chain(functions).collect()
}

/// What a named type stands for; a name of another interface's type is followed to where it is defined.
fn definition(resolve: &Resolve, id: TypeId) -> String {
    match &resolve.types[id].kind {
        TypeDefKind::Type(alias) => form(resolve, alias),
        kind => structure(resolve, kind),
    }
}

/// A type where it is used: by its name and home if it has them.
fn form(resolve: &Resolve, ty: &Type) -> String {
    let Type::Id(id) = ty else {
        return format!("{ty:?}").to_lowercase();
    };
    let definition = &resolve.types[*id];
    match (&definition.kind, &definition.name) {
        // An alias is the same type as what it stands for.
        (TypeDefKind::Type(alias), _) => form(resolve, alias),
        (TypeDefKind::Resource | TypeDefKind::Record(_) | TypeDefKind::Variant(_), Some(name))
        | (TypeDefKind::Enum(_) | TypeDefKind::Flags(_), Some(name)) => {
            let wit_parser::TypeOwner::Interface(owner) = definition.owner else {
                return name.clone();
            };
            format!("{}#{name}", resolve.id_of(owner).unwrap_or_default())
        }
        (kind, _) => structure(resolve, kind),
    }
}

fn structure(resolve: &Resolve, kind: &TypeDefKind) -> String {
    let list = |parts: Vec<String>| parts.join(", ");
    match kind {
        TypeDefKind::Record(record) => {
            let members = record
                .fields
                .iter()
                .map(|it| format!("{}: {}", it.name, form(resolve, &it.ty)));
            format!("record {{{}}}", list(members.collect()))
        }
        TypeDefKind::Variant(variant) => {
            let cases = variant
                .cases
                .iter()
                .map(|it| format!("{}({})", it.name, optional(resolve, it.ty.as_ref())));
            format!("variant {{{}}}", list(cases.collect()))
        }
        TypeDefKind::Enum(it) => format!(
            "enum {{{}}}",
            list(it.cases.iter().map(|it| it.name.clone()).collect())
        ),
        TypeDefKind::Flags(it) => format!(
            "flags {{{}}}",
            list(it.flags.iter().map(|it| it.name.clone()).collect())
        ),
        TypeDefKind::Tuple(tuple) => {
            format!(
                "tuple<{}>",
                list(tuple.types.iter().map(|it| form(resolve, it)).collect())
            )
        }
        TypeDefKind::Resource => "resource".into(),
        TypeDefKind::Handle(Handle::Own(id)) => format!("own<{}>", form(resolve, &Type::Id(*id))),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", form(resolve, &Type::Id(*id))),
        TypeDefKind::Option(it) => format!("option<{}>", form(resolve, it)),
        TypeDefKind::List(it) => format!("list<{}>", form(resolve, it)),
        TypeDefKind::Result(it) => format!(
            "result<{}, {}>",
            optional(resolve, it.ok.as_ref()),
            optional(resolve, it.err.as_ref())
        ),
        TypeDefKind::Future(it) => format!("future<{}>", optional(resolve, it.as_ref())),
        TypeDefKind::Stream(it) => format!("stream<{}>", optional(resolve, it.as_ref())),
        TypeDefKind::Type(it) => form(resolve, it),
        other => format!("{other:?}"),
    }
}

fn optional(resolve: &Resolve, ty: Option<&Type>) -> String {
    ty.map_or_else(|| "_".into(), |ty| form(resolve, ty))
}
