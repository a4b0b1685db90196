# Development commands; `just` lists them.

_:
    @just --list

# Format, lints and tests, as in CI
check:
    .ci/run

# Run the app, by default with the embedded network and picture
run *ARGS:
    cargo run --release -- {{ARGS}}

# Run the tests; those on real weights and pictures are skipped without GRADSCOPE_SHARED
test *ARGS:
    cargo test --workspace {{ARGS}}

# Compute every map of the reference files and print the table of errors; needs GRADSCOPE_SHARED
reference:
    cargo test --test numbers -- --nocapture --test-threads 1 is_reproduced

# Benchmark the engine's convolutions against PyTorch's, interleaved; needs python3 with torch
bench *ARGS:
    python3 scripts/bench/layers.py {{ARGS}}

# Benchmark networks and methods against PyTorch, onnxruntime, captum, zennit, torchattacks and foolbox: BENCHMARKS.md's tables
peers *ARGS:
    python3 benches/peers.py {{ARGS}}

# Test the Python package against a debug build of the program, and check its types if mypy is installed; needs torch
python:
    cargo build
    cd python && GRADSCOPE="${GRADSCOPE:-$PWD/../target/debug/gradscope}" ${PYTHON:-python3} -m unittest discover -t . -s tests
    cd python && if ${PYTHON:-python3} -c 'import mypy' 2>/dev/null; then ${PYTHON:-python3} -m mypy; fi

# Build and open the crate's documentation
doc:
    cargo doc --no-deps --open

# Drive the app in real terminals and compare screenshots
terminals:
    cargo build --release
    python3 tests/terminal/run.py

# Take the README's screenshots; tests fail if the app has changed since
screenshots:
    scripts/screenshots.sh

# Fuzz parsers, scripts, native functions and engine sizes for SECONDS each; failing inputs are kept in fuzz/corpus
fuzz SECONDS="60":
    GRADSCOPE_FUZZ_SECONDS={{SECONDS}} cargo test --release --test fuzz -- --nocapture
    GRADSCOPE_FUZZ_SECONDS={{SECONDS}} cargo test --release -p gradscope-engine --test hostile
    GRADSCOPE_FUZZ_SECONDS={{SECONDS}} cargo test --release --lib api::attack -- --nocapture

# Exercise the app for SECONDS: work, resize, flood, kill, hang up, resume, and compare the results bit for bit
soak SECONDS="60":
    GRADSCOPE_SOAK_SECONDS={{SECONDS}} cargo test --release --test command soak -- --nocapture

# Test the engine's unsafe code under AddressSanitizer; higher optimisation levels take an hour to compile
sanitize:
    ASAN_OPTIONS=allocator_may_return_null=1 RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test -p gradscope-engine --target x86_64-unknown-linux-gnu --target-dir target/sanitize --config 'profile.dev.package.gradscope-engine.opt-level=1'

# Test the engine's unsafe code under Miri, with the scalar loops; needs a nightly toolchain with miri and rust-src. Large sizes are skipped
miri *ARGS:
    MIRIFLAGS="-Zmiri-disable-stacked-borrows -Zmiri-ignore-leaks -Zmiri-disable-isolation -Zmiri-permissive-provenance" GRADSCOPE_SIMD=scalar GRADSCOPE_FUZZ_SECONDS=150 RAYON_NUM_THREADS=1 cargo +nightly miri test -p gradscope-engine {{ARGS}}

# Test the engine's scalar loops under valgrind
valgrind:
    cargo test -p gradscope-engine --config 'target."cfg(all())".runner=["valgrind", "-q", "--error-exitcode=9"]' --config 'env.GRADSCOPE_SIMD="scalar"' --config 'env.GRADSCOPE_FUZZ_SECONDS="60"'
