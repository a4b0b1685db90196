//! The program: see `gradscope --help`.

use gradscope::memory::Counting;

/// Scripts are held to the memory that there is.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> std::process::ExitCode {
    gradscope::kernel::keep_freed_memory();
    gradscope::cli::main()
}
