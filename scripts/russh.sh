#!/bin/sh
# Prepares the SSH library that Keyward is built with: takes the published
# russh from cargo's own cache, verifies it, applies patches/russh/ in order
# and leaves the result in .russh/, where Cargo.toml looks for it.
# Why the library is patched: docs/adr/0002-a-patched-russh.md.
#
# Needs sh, tar, sha256sum, patch and cargo. A second run changes nothing.
set -eu

NAME=russh
VERSION=0.65.1
# The checksum that the index of the registry states for this release.
SHA256=94be3d86c71b9ed220a675c405e35c7a02565a009bf8da2e9cc13a700320a5c5

fail() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

for tool in tar sha256sum patch cargo; do
    command -v "$tool" >/dev/null 2>&1 ||
        fail "'$tool' is not installed" "install it with the package manager of this system"
done

root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
series=$root/patches/russh
target=$root/.russh
stamp=.keyward-stamp

[ -d "$series" ] || fail "no patches in patches/russh" "is this a complete checkout?"

digest=$(cat -- "$0" "$series"/*.patch | sha256sum | cut -d ' ' -f 1)
if [ -f "$target/$stamp" ] && [ "$(cat -- "$target/$stamp")" = "$digest" ]; then
    exit 0
fi

# Beside the target, so that the last step is a rename within one file system.
work=$(mktemp -d "$root/.russh-new.XXXXXX") || fail "cannot write to $root"
trap 'rm -rf -- "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The crate as cargo keeps it, whatever the registry's folder is called.
cached() {
    for crate in "${CARGO_HOME:-$HOME/.cargo}"/registry/cache/*/"$NAME-$VERSION.crate"; do
        if [ -f "$crate" ]; then
            printf '%s\n' "$crate"
            return 0
        fi
    done
    return 1
}

if ! crate=$(cached); then
    # In a folder of its own: Keyward's Cargo.toml cannot be read by cargo
    # before .russh exists.
    fetch=$(mktemp -d) || fail "cannot make a temporary folder"
    trap 'rm -rf -- "$work" "$fetch"' EXIT
    mkdir "$fetch/src"
    : >"$fetch/src/lib.rs"
    cat >"$fetch/Cargo.toml" <<EOF
[package]
name = "fetch"
version = "0.0.0"
edition = "2021"

[dependencies]
$NAME = { version = "=$VERSION", default-features = false }

[workspace]
EOF
    (cd "$fetch" && cargo fetch --quiet) ||
        fail "cargo could not fetch $NAME $VERSION" "the first build needs the network; later ones do not"
    crate=$(cached) || fail "cargo fetched $NAME $VERSION, but it is not in its cache" \
        "is CARGO_HOME the same for cargo and for this script?"
fi

found=$(sha256sum <"$crate" | cut -d ' ' -f 1)
[ "$found" = "$SHA256" ] || fail "$crate has the wrong checksum
  expected $SHA256
  found    $found" "remove that file and run this script again"

tar -xzf "$crate" -C "$work" || fail "cannot unpack $crate"
source=$work/$NAME-$VERSION
[ -f "$source/Cargo.toml" ] || fail "$crate does not hold $NAME-$VERSION"

for file in "$series"/*.patch; do
    if ! report=$(cd "$source" && patch -p1 --fuzz=0 --no-backup-if-mismatch --batch <"$file" 2>&1); then
        printf '%s\n' "$report" >&2
        fail "${file#"$root"/} does not apply to $NAME $VERSION" \
            "the patches are made for exactly this release and apply in the order of their names"
    fi
done

printf '%s\n' "$digest" >"$source/$stamp"

# Never a half-made .russh: the old one goes only when the new one is complete.
if [ -e "$target" ]; then
    mv -- "$target" "$work/old"
fi
[ ! -e "$target" ] || fail "another run of this script is making .russh" "run it again"
mv -- "$source" "$target"
