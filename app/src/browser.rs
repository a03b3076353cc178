//! What only runs in the browser: sending forms and reading grids.

pub mod handed;
pub mod live;
mod picture;
pub mod runs;
#[cfg(feature = "hydrate")]
pub mod sheets;

use virboard_core::prediction::Predictions;
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;
use web_sys::{FormData, RequestInit, Response};

const OFFLINE: &str = "The server did not answer. Check the connection and try again.";

/// Sends a photo's form to the REST interface; a sentence for people on failure.
pub async fn send_photo(form: FormData) -> Result<Predictions, String> {
    let request = RequestInit::new();
    request.set_method("POST");
    request.set_body(&form);
    let response = fetch("/api/v1/predictions", &request).await?;
    let text = text(&response).await?;
    if response.ok() {
        return serde_json::from_slice(text.as_bytes())
            .map_err(|_| "The answer could not be read. Reload the page.".to_owned());
    }
    match serde_json::from_slice::<Problem>(text.as_bytes()) {
        Ok(problem) => Err(problem.detail),
        Err(_) if response.status() == 413 => Err(TOO_LARGE.to_owned()),
        Err(_) => Err(OFFLINE.to_owned()),
    }
}

/// What of a problem document is shown.
#[derive(serde::Deserialize)]
struct Problem {
    detail: String,
}

/// Said of files over 20 MB.
pub const TOO_LARGE: &str = "The file has more than 20 MB. Save it smaller or with stronger compression.";

/// Values of a prediction at the head's resolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grid {
    width: usize,
    values: Vec<u16>,
}

impl Grid {
    /// Loads the grid that lies beside the picture at `picture`.
    pub async fn load(picture: &str) -> Option<Self> {
        let folder = picture.rsplit_once('/')?.0;
        let response = fetch(&format!("{folder}/grid.bin"), &RequestInit::new()).await.ok().filter(Response::ok)?;
        let buffer = JsFuture::from(response.array_buffer().ok()?).await.ok()?;
        let bytes = js_sys::Uint8Array::new(&buffer).to_vec();
        Self::parse(&bytes)
    }

    /// Width, height, then the values, all little-endian `u16`.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut numbers = bytes.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]]));
        let (width, height) = (usize::from(numbers.next()?), usize::from(numbers.next()?));
        let values: Vec<u16> = numbers.collect();
        (width > 0 && values.len() == width * height).then_some(Self { width, values })
    }

    /// The value at a position given as shares of width and height, 0 to 1.
    #[must_use]
    pub fn at(&self, x: f64, y: f64) -> u16 {
        let height = self.values.len() / self.width;
        let index = |share: f64, n: usize| ((share.clamp(0.0, 1.0) * n as f64) as usize).min(n - 1);
        self.values[index(y, height) * self.width + index(x, self.width)]
    }
}

/// Where a pointer is over the element that listens to it, as shares of its size.
#[must_use]
pub fn position(event: &web_sys::PointerEvent) -> Option<(f64, f64)> {
    let target: web_sys::Element = event.current_target()?.dyn_into().ok()?;
    let area = target.get_bounding_client_rect();
    let share = |at: i32, from: f64, size: f64| (f64::from(at) - from) / size.max(1.0);
    Some((share(event.client_x(), area.left(), area.width()), share(event.client_y(), area.top(), area.height())))
}

async fn fetch(address: &str, request: &RequestInit) -> Result<Response, String> {
    let window = web_sys::window().ok_or(OFFLINE)?;
    let answer = JsFuture::from(window.fetch_with_str_and_init(address, request)).await.map_err(|_| OFFLINE)?;
    answer.dyn_into().map_err(|_| OFFLINE.to_owned())
}

async fn text(response: &Response) -> Result<String, String> {
    let promise = response.text().map_err(|_| OFFLINE)?;
    Ok(JsFuture::from(promise).await.map_err(|_| OFFLINE)?.as_string().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grid_gives_the_value_under_the_pointer() {
        let bytes: Vec<u8> = [2u16, 2, 10, 20, 30, 40].into_iter().flat_map(u16::to_le_bytes).collect();
        let grid = Grid::parse(&bytes).expect("a grid");
        assert_eq!([grid.at(0.0, 0.0), grid.at(0.9, 0.1), grid.at(0.1, 1.0), grid.at(2.0, 2.0)], [10, 20, 30, 40]);
        assert_eq!(Grid::parse(&bytes[..6]), None);
    }
}
