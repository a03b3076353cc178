//! Addresses of the browser's files. Each carries a hash of its content, so that it can be
//! kept for ever and never be stale.

use std::hash::{DefaultHasher, Hasher};
use std::path::Path;

/// Addresses; `None` for what was not built.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Assets {
    /// The style sheet.
    pub css: Option<String>,
    /// WebAssembly's loader.
    pub js: Option<String>,
    /// WebAssembly.
    pub wasm: Option<String>,
}

impl Assets {
    /// Looks for the files below `site`.
    #[must_use]
    pub fn find(site: &Path) -> Self {
        let address = |name: &str| {
            let mut hasher = DefaultHasher::new();
            hasher.write(&std::fs::read(site.join("pkg").join(name)).ok()?);
            Some(format!("/pkg/{name}?v={:016x}", hasher.finish()))
        };
        Self { css: address("virboard.css"), js: address("virboard.js"), wasm: address("virboard_bg.wasm") }
    }

    /// The script that loads WebAssembly and hydrates the page.
    #[must_use]
    pub fn script(&self) -> Option<String> {
        let (js, wasm) = (self.js.as_ref()?, self.wasm.as_ref()?);
        Some(format!("import init, {{ hydrate }} from '{js}'; init({{ module_or_path: '{wasm}' }}).then(hydrate);"))
    }
}
