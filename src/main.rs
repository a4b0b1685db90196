//! The program: see `gradscope --help`.

use gradscope::script::memory::Counting;

/// Scripts are held to the memory that there is.
#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> std::process::ExitCode {
    keep_freed_memory();
    gradscope::cli::main()
}

/// Freed tensors are kept for the next ones of their size: having the system clear new pages for each takes longer than
/// the arithmetic (ResNet-20 on 2,000 pictures: 3 s instead of 9 on two cores).
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    // SAFETY: no other thread is there yet; the two options change nothing but when memory is given back.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 1 << 30);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn keep_freed_memory() {}
