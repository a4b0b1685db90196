# What one runs while working on gradscope; `just` lists it.

_:
    @just --list

# Format, lints and tests: what CI runs
check:
    .ci/run

# The app on the embedded network and picture
run *ARGS:
    cargo run --release -- {{ARGS}}

# The tests; with GRADSCOPE_SHARED also those on real weights and pictures
test *ARGS:
    cargo test --workspace {{ARGS}}

# Every map of the reference files by `gradscope run … --out`, and the table of errors; needs GRADSCOPE_SHARED
reference:
    cargo test --test reference --test reference_resnet -- --nocapture --test-threads 1 reproduced

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
