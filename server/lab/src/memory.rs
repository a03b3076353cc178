//! How the process treats memory that it has freed.

/// Keeps freed memory for the next batch instead of handing it back to the system, which would
/// clear every page again: training a decoder takes a third less time. For programs that work
/// and end, not for a server: the process stays as large as it has ever been.
///
/// Does something with glibc only.
pub fn keep_freed() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: mallopt only changes settings, and both numbers are valid for theirs.
    unsafe {
        // No block has a mapping of its own, and the heap is never cut off at its end.
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}
