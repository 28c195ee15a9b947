#!/bin/sh
# Runs the tests of tests/wire/ against the published russh, without the
# patches, and prints which of them fail there: the reason why each patch is
# carried. For the record, and for a new release: a patch whose tests pass
# without it can go. It builds in a folder of its own; the checkout is not
# touched. Tests that wait for something that never happens take 20 seconds
# each.
set -eu

VERSION=0.65.1

fail() {
    printf 'error: %s\n' "$1" >&2
    [ -z "${2-}" ] || printf 'hint: %s\n' "$2" >&2
    exit 1
}

command -v cargo >/dev/null 2>&1 || fail "'cargo' is not installed"
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
wire=$root/tests/wire
[ -f "$wire/support.rs" ] || fail "no tests in tests/wire" "is this a complete checkout?"

work=$(mktemp -d) || fail "cannot make a temporary folder"
trap 'rm -rf -- "$work"' EXIT
trap 'exit 1' HUP INT TERM

mkdir "$work/src" "$work/tests"
: >"$work/src/lib.rs"
cat >"$work/Cargo.toml" <<EOF
[package]
name = "stock"
version = "0.0.0"
edition = "2024"

[dependencies]
russh = { version = "=$VERSION", default-features = false, features = ["aws-lc-rs", "rsa"] }
tokio = { version = "1", features = ["rt", "net", "io-util", "sync", "time", "macros"] }
aws-lc-rs = { version = "1", default-features = false, features = ["aws-lc-sys", "alloc"] }
bytes = "1"

[profile.dev]
debug = false

[profile.dev.package."*"]
opt-level = 2

[workspace]
EOF

# One program per module: a module that names what only a patch has does not
# compile, and must not keep the others from running.
modules=
for file in "$wire"/*.rs; do
    name=$(basename -- "$file" .rs)
    case $name in
    main | support | memory) continue ;;
    esac
    modules="$modules $name"
    # Beside what all use, `x_seen` uses `x`.
    last=
    {
        printf '#![allow(dead_code, unused_imports)]\n'
        for part in support memory ${name%_seen} "$name"; do
            [ "$part" = "$name" ] && [ "$name" = "$last" ] && continue
            last=$part
            printf '#[path = "%s/%s.rs"]\nmod %s;\n' "$wire" "$part" "$part"
        done
    } >"$work/tests/$name.rs"
done

cd "$work"
cargo build --quiet || fail "russh $VERSION does not build here"
status=0
for name in $modules; do
    if ! cargo test --quiet --test "$name" --no-run 2>"$work/errors"; then
        if grep -q '^error\[' "$work/errors"; then
            printf '%-24s does not compile without the patch\n' "$name"
            continue
        fi
        cat "$work/errors" >&2
        fail "cannot build $name"
    fi
    cargo test --test "$name" -- "$name::" >"$work/report" 2>/dev/null || :
    sed -n "s/^test $name::\\([a-z0-9_]*\\).*\\.\\.\\. \\(.*\\)/\\2 \\1/p" "$work/report" |
        while read -r result test; do
            case $result in
            ok) result=passes ;;
            FAILED) result=fails ;;
            esac
            printf '%-24s %-8s %s\n' "$name" "$result" "$test"
        done
    if ! grep -q '^test result' "$work/report"; then
        printf '%-24s ended without a result\n' "$name"
        status=1
    fi
done
exit "$status"
