#!/bin/bash
# Makes Rust's standard library for wasm32-wasip1 and wasm32-wasip2 available to the host's cargo.
# `rustup target add` does it where rustup's server can be reached. Elsewhere Debian's packages of a newer suite are
# unpacked beside the host's toolchain (800 MB, half a minute; nothing is installed), and $GUESTS/rust/env.sh is
# written, to be sourced before cargo builds a guest.
set -euo pipefail
. "$(dirname "$0")/env.sh"
SUITE=${SUITE:-sid} P=$GUESTS/rust
[ ! -e "$P/env.sh" ] || exit 0
if timeout 60 rustup target add wasm32-wasip1 wasm32-wasip2 2>/dev/null; then exit 0; fi

rm -rf "$P"
mkdir -p "$P"/{apt/lists/partial,apt/cache/archives/partial,debs,root,bin}
# The mirror that this machine already uses.
mirror=$({ grep -hsE '^(URIs:|deb )' /etc/apt/sources.list /etc/apt/sources.list.d/* || true; } | tr ' ' '\n' |
  grep -m1 'debian/\?$')
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
echo "deb [signed-by=$keyring] $mirror $SUITE main" >"$P/apt/sources.list"
: >"$P/apt/status"
cat >"$P/apt/apt.conf" <<C
Dir::Etc::sourcelist "$P/apt/sources.list";
Dir::Etc::sourceparts "-";
Dir::State::lists "$P/apt/lists";
Dir::State::status "$P/apt/status";
Dir::Cache "$P/apt/cache";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
Acquire::Languages "none";
C
export APT_CONFIG=$P/apt/apt.conf
apt-get update -qq
# rustc and the libraries it loads; the host's own C compiler links what cargo builds for the host.
libraries='lib(std-rust.*|llvm.*|z3.*|ffi.*|edit2|bsd0|md0|xml2.*|lzma5|zstd1|tinfo6|stdc\+\+6|gcc-s1|c6|gmp10|icu.*)'
mapfile -t packages < <(apt-get install --print-uris -qq rustc libstd-rust-dev-wasm32 | awk '{print $2}' |
  sed 's/_.*//' | grep -E "^(rustc|zlib1g|$libraries)$")
(cd "$P/debs" && apt-get download -qq "${packages[@]}")
for deb in "$P"/debs/*.deb; do dpkg -x "$deb" "$P/root"; done
rm -rf "$P/debs" "$P/apt/lists" "$P/apt/cache"

R=$P/root
for loader in "$R"/lib64 "$R"/usr/lib64 "$R"/usr/lib/x86_64-linux-gnu; do
  loader=$loader/ld-linux-x86-64.so.2
  [ ! -e "$loader" ] || break
done
# The host's toolchain brings the linkers: rust-lld and wasm-component-ld.
linkers=$(env -u RUSTC rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin
for tool in rustc rustdoc; do
  printf '#!/bin/sh\nexec "%s" --library-path "%s" --argv0 %s "%s" --sysroot "%s" "$@"\n' \
    "$loader" "$R/usr/lib/x86_64-linux-gnu:$R/lib/x86_64-linux-gnu" $tool "$R/usr/bin/$tool" "$R/usr" >"$P/bin/$tool"
  chmod +x "$P/bin/$tool"
done
cat >"$P/env.sh" <<C
export RUSTC=$P/bin/rustc RUSTDOC=$P/bin/rustdoc
export CARGO_TARGET_WASM32_WASIP1_LINKER=$linkers/rust-lld
export CARGO_TARGET_WASM32_WASIP2_LINKER=$linkers/wasm-component-ld
export GUEST_LINK_FLAGS=-Clink-arg=--wasm-ld-path=$linkers/gcc-ld/wasm-ld
C
"$P/bin/rustc" -V
