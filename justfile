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
    cargo test {{ARGS}}

# The documentation of the crate
doc:
    cargo doc --no-deps --open
