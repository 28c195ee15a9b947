#!/usr/bin/env bash
# Builds the targets of fuzz/ and runs each for SECONDS_EACH seconds: scripts/fuzz.sh [TARGET...]. Needs no nightly toolchain: the
# compiler's own passes instrument the code, and libFuzzer is compiled in. What a run finds stays in fuzz/found/TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."

SECONDS_EACH=${SECONDS_EACH:-60}
host=$(rustc -vV | sed -n 's/^host: //p')
flags="--cfg fuzzing -Ccodegen-units=1 -Cpasses=sancov-module"
for argument in level=4 inline-8bit-counters pc-table trace-compares; do
    flags+=" -Cllvm-args=-sanitizer-coverage-$argument"
done

# With --target, build scripts and macros are not instrumented.
CARGO_ENCODED_RUSTFLAGS=$(printf '%s' "$flags" | tr ' ' '\037') \
    "${CARGO:-cargo}" build --release --locked --manifest-path fuzz/Cargo.toml --target "$host" --target-dir fuzz/target

if [ $# -eq 0 ]; then
    set -- $(sed -n 's/^name = "\([a-z_]*\)"$/\1/p' fuzz/Cargo.toml)
fi
for target in "$@"; do
    echo "== $target, ${SECONDS_EACH} s"
    mkdir -p "fuzz/corpus/$target" "fuzz/found/$target"
    seeds=()
    [ ! -d "fuzz/seeds/$target" ] || seeds=("fuzz/seeds/$target")
    "fuzz/target/$host/release/$target" "fuzz/corpus/$target" "${seeds[@]}" \
        -artifact_prefix="fuzz/found/$target/" -max_total_time="$SECONDS_EACH" -timeout=120 -rss_limit_mb=1024 \
        -print_final_stats=1 -verbosity=0
done
