#!/usr/bin/env bash
# Takes the README's screenshots in kitty, and writes what the screens say for the test that finds stale ones.
# Needs termshot (from TERMSHOT, PATH or GRADSCOPE_SHARED/tools) and its Debian packages.
set -euo pipefail
cd "$(dirname "$0")/.."
termshot=${TERMSHOT:-$(command -v termshot || echo "${GRADSCOPE_SHARED:-}/tools/termshot")}
[ -x "$termshot" ] || { echo "termshot not found: set TERMSHOT or GRADSCOPE_SHARED" >&2; exit 1; }
program=${GRADSCOPE:-target/release/gradscope}
[ -n "${GRADSCOPE:-}" ] || cargo build --release
export GRADSCOPE_STATE= GRADSCOPE_CONFIG=
shot() { "$termshot" --term kitty --size 140x40 --wait 3 --keys "$2" --out "docs/$1.png" -- "$program" --fresh; }
shot main "settle:0.5"
shot fgsm "/ type:fgsm Enter settle:0.8 . settle:1 . settle:1 sleep:5"
GRADSCOPE_WRITE_DOCS=1 cargo test --test screens readme
