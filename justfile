# What one runs while working on gradscope; `just` lists it.

_:
    @just --list

# Format, lints and tests: what CI runs
check:
    .ci/run

# The app on the embedded network and picture
run *ARGS:
    cargo run --release -- {{ARGS}}

# The tests; those on real weights and pictures are skipped without GRADSCOPE_SHARED
test *ARGS:
    cargo test --workspace {{ARGS}}

# Every map of the reference files by `gradscope run … --out`, and the table of errors; needs GRADSCOPE_SHARED
reference:
    cargo test --test numbers -- --nocapture --test-threads 1 is_reproduced

# The engine's convolutions against PyTorch's, in turns; needs python3 with torch
bench *ARGS:
    python3 scripts/bench/layers.py {{ARGS}}

# Networks and methods beside PyTorch, onnxruntime, captum, zennit, torchattacks and foolbox, in turns: BENCHMARKS.md's tables
peers *ARGS:
    python3 benches/peers.py {{ARGS}}

# The documentation of the crate
doc:
    cargo doc --no-deps --open

# Drives the app in real terminals and compares their photographs.
terminals:
    cargo build --release
    python3 tests/terminal/run.py

# Mutated files, scripts, natives' arguments and engine sizes for so many seconds each; what fails is kept in fuzz/corpus
fuzz SECONDS="60":
    GRADSCOPE_FUZZ_SECONDS={{SECONDS}} cargo test --release --test fuzz -- --nocapture
    GRADSCOPE_FUZZ_SECONDS={{SECONDS}} cargo test --release -p gradscope-engine --test hostile
    GRADSCOPE_FUZZ_SECONDS={{SECONDS}} cargo test --release --lib api::attack -- --nocapture

# Lives in the app for so many seconds: works, resizes, floods, kills, hangs up, resumes, and compares bits
soak SECONDS="60":
    GRADSCOPE_SOAK_SECONDS={{SECONDS}} cargo test --release --test command soak -- --nocapture

# The engine's unsafe loops under AddressSanitizer; optimised further, they take an hour to compile
sanitize:
    ASAN_OPTIONS=allocator_may_return_null=1 RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address cargo test -p gradscope-engine --target x86_64-unknown-linux-gnu --target-dir target/sanitize --config 'profile.dev.package.gradscope-engine.opt-level=1'

# The engine's plain loops, without vector instructions, under valgrind
valgrind:
    cargo test -p gradscope-engine --config 'target."cfg(all())".runner=["valgrind", "-q", "--error-exitcode=9"]' --config 'env.GRADSCOPE_SIMD="scalar"' --config 'env.GRADSCOPE_FUZZ_SECONDS="60"'
