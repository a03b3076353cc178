//! See the module above; being written.
