//! Has cargo build again when a script is added or removed: the binary carries both folders.

fn main() {
    println!("cargo:rerun-if-changed=plugins");
    println!("cargo:rerun-if-changed=models");
}
