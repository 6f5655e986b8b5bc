#!/usr/bin/env python3
"""Packs Spin apps into an OCI image layout, in the shapes that Spin 4 pushes (docs/contract/oci.md section 2.1).

    pack.py LAYOUT TAG=MANIFEST...

MANIFEST is a spin.toml of version 2 whose components name built files (nothing is built or fetched). LAYOUT is written
anew. The same input always gives the same bytes: no time stamps, no paths. Needs nothing but Python 3.11.
"""

import base64
import hashlib
import json
import pathlib
import shutil
import sys
import tomllib

INLINE_MAX = 128  # bytes; content up to this size stands in the locked app itself
LOCKED_APP = "application/vnd.fermyon.spin.application.v1+config"
WASM = "application/vnd.wasm.content.layer.v1+wasm"
DATA = "application/vnd.wasm.content.layer.v1+data"
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def digest(content):
    return "sha256:" + hashlib.sha256(content).hexdigest()


def compact(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def without_empty(mapping):
    return {name: value for name, value in sorted(mapping.items()) if value not in (None, "", [], {})}


class Layout:
    """An OCI image layout under construction."""

    def __init__(self, root):
        self.root = root
        self.tags = []
        shutil.rmtree(root, ignore_errors=True)
        (root / "blobs/sha256").mkdir(parents=True)

    def blob(self, media_type, content):
        name = digest(content)
        (self.root / "blobs/sha256" / name.removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": media_type, "digest": name, "size": len(content)}

    def tag(self, tag, manifest):
        entry = self.blob(MANIFEST, compact(manifest))
        self.tags.append(entry | {"annotations": {"org.opencontainers.image.ref.name": tag}})

    def finish(self):
        (self.root / "oci-layout").write_bytes(compact({"imageLayoutVersion": "1.0.0"}))
        (self.root / "index.json").write_bytes(compact({"schemaVersion": 2, "manifests": self.tags}))


class Artifact:
    """One app: its layers, in the order in which Spin pushes them."""

    def __init__(self, layout, path):
        self.layout = layout
        self.directory = path.parent
        self.manifest = tomllib.loads(path.read_text())
        self.layers = []

    def layer(self, media_type, content):
        descriptor = self.layout.blob(media_type, content)
        if descriptor not in self.layers:
            self.layers.append(descriptor)
        return descriptor["digest"]

    def files(self, component):
        """The mounted files: one entry each, later mounts over earlier ones."""
        mounted = {}
        for mount in component.get("files", []):
            if isinstance(mount, str):
                found = {file.relative_to(self.directory): file for file in self.directory.glob(mount)}
            else:
                source = self.directory / mount["source"]
                destination = pathlib.PurePosixPath(mount["destination"].lstrip("/"))
                found = {destination / file.relative_to(source): file for file in source.rglob("*")}
            mounted |= {path.as_posix(): file for path, file in found.items() if file.is_file()}
        for path, file in sorted(mounted.items()):
            content = file.read_bytes()
            if len(content) <= INLINE_MAX:
                inline = base64.b64encode(content).decode().rstrip("=")
                yield {"inline": inline, "digest": digest(content), "path": path}
            else:
                yield {"digest": self.layer(DATA, content), "path": path}

    def component(self, name, component):
        wasm = (self.directory / component["source"]).read_bytes()
        locked = {"id": name}
        allowed = component.get("allowed_outbound_hosts", [])
        metadata = without_empty({
            "ai_models": component.get("ai_models"),
            "allowed_outbound_hosts": allowed,
            "databases": component.get("sqlite_databases"),
            "description": component.get("description"),
            "key_value_stores": component.get("key_value_stores"),
        })
        if metadata:
            locked["metadata"] = metadata
        locked["source"] = {"content_type": "application/wasm", "digest": self.layer(WASM, wasm)}
        if component.get("environment"):
            locked["env"] = component["environment"]
        files = list(self.files(component))
        if files:
            locked["files"] = files
        if component.get("variables"):
            locked["config"] = component["variables"]
        if any(".spin.internal" in host for host in allowed):
            locked["host_requirements"] = {"local_service_chaining": "required"}
        return locked

    def triggers(self):
        taken = set()
        for kind, trigger in [(kind, trigger) for kind, of_kind in self.manifest["trigger"].items() for trigger in of_kind]:
            config = dict(trigger)
            name = config.pop("id", None) or f"{config.get('component')}-{kind}-trigger"
            if "component" not in config or name in taken:
                name = next(n for i in range(1, len(taken) + 2) if (n := f"{kind}-trigger{i}") not in taken)
            taken.add(name)
            yield {"id": name, "trigger_type": kind, "trigger_config": dict(sorted(config.items()))}

    def locked_app(self):
        application = self.manifest["application"]
        variables = {}
        for name, variable in sorted(self.manifest.get("variables", {}).items()):
            kept = {key: variable[key] for key in ("default", "secret", "description") if key in variable}
            variables[name] = kept
        components = [self.component(*item) for item in self.manifest["component"].items()]
        described = {key: application.get(key) for key in ("authors", "description", "name", "version")}
        requirements = any("host_requirements" in component for component in components)
        locked = {"spin_lock_version": int(requirements)}
        if requirements:
            locked["must_understand"] = ["component_host_requirements"]
        settings = application.get("trigger", {})
        kinds = list(self.manifest["trigger"])
        triggers = {"triggers": settings}
        if len(kinds) == 1:
            triggers["trigger"] = {"type": kinds[0]} | settings.get(kinds[0], {})
        locked["metadata"] = without_empty(described) | dict(sorted(triggers.items()))
        if variables:
            locked["variables"] = variables
        locked["triggers"] = list(self.triggers())
        locked["components"] = components
        return locked

    def manifest_for_registry(self):
        application = self.manifest["application"]
        locked = self.layer(LOCKED_APP, compact(self.locked_app()))
        config = {
            "architecture": "wasm",
            "os": "wasip1",
            "config": {"Labels": {"com.fermyon.spin.lockedAppDigest": locked}},
            "rootfs": {"type": "layers", "diff_ids": []},
        }
        annotations = {
            "org.opencontainers.image.authors": ", ".join(application.get("authors", [])),
            "org.opencontainers.image.description": application.get("description"),
            "org.opencontainers.image.title": application.get("name"),
            "org.opencontainers.image.version": application.get("version"),
        }
        return {
            "annotations": without_empty(annotations),
            "config": self.layout.blob(CONFIG, compact(config)),
            "layers": self.layers,
            "schemaVersion": 2,
        }


def main(arguments):
    if len(arguments) < 2 or not all("=" in argument for argument in arguments[1:]):
        sys.exit(__doc__)
    layout = Layout(pathlib.Path(arguments[0]))
    for argument in arguments[1:]:
        tag, manifest = argument.split("=", 1)
        layout.tag(tag, Artifact(layout, pathlib.Path(manifest)).manifest_for_registry())
    layout.finish()


if __name__ == "__main__":
    main(sys.argv[1:])
