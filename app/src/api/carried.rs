//! Data that travels with the document.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::str::FromStr;

/// Something that the server writes into the document and the browser reads from it. The
/// browser never writes it, so that the code for that is not part of the WebAssembly.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried<T>(pub Result<T, String>);

impl<T: Serialize> fmt::Display for Carried<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "ssr")]
        return f.write_str(&serde_json::to_string(&self.0).map_err(|_| fmt::Error)?);
        #[cfg(not(feature = "ssr"))]
        return f.write_str("");
    }
}

impl<T: DeserializeOwned> FromStr for Carried<T> {
    type Err = serde_json::Error;

    fn from_str(s: &str) -> Result<Self, Self::Err> {
        // As server functions read theirs: the same code serves both.
        Ok(Self(serde_json::from_slice(s.as_bytes())?))
    }
}

#[cfg(all(test, feature = "ssr"))]
mod tests {
    use super::*;

    #[test]
    fn both_sides_of_a_result_arrive() {
        for result in [Ok(vec![1, 2]), Err("a <sentence>".to_owned())] {
            let carried = Carried::<Vec<u8>>(result);
            assert_eq!(carried.to_string().parse::<Carried<Vec<u8>>>().expect("read"), carried);
        }
    }
}
