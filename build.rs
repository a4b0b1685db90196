//! Rebuilds the crate when a script is added or removed, because the binary embeds both folders.

fn main() {
    println!("cargo:rerun-if-changed=plugins");
    println!("cargo:rerun-if-changed=models");
}
