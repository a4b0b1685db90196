//! The program: see `gradscope --help`.

fn main() {}
