//! What browsers send along: cookies, and where to go back to.

use axum::http::{HeaderMap, header};

/// A cookie by its name.
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|v| v.to_str().ok());
    all.flat_map(|c| c.split(';')).find_map(|c| c.trim().strip_prefix(name)?.strip_prefix('='))
}

/// An address to go back to: of this site only, since a second slash would name another host.
pub fn back(wish: &str) -> &str {
    if wish.starts_with('/') && !wish.starts_with("//") && !wish.contains(['\\', '\r', '\n']) { wish } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("xtheme=a; theme=dark"));
        headers.append(header::COOKIE, HeaderValue::from_static("other=b=c"));
        assert_eq!(["theme", "other", "them"].map(|name| cookie(&headers, name)), [Some("dark"), Some("b=c"), None]);
    }

    #[test]
    fn one_goes_back_to_this_site_alone() {
        let wishes = ["/try?a=1", "//evil.example", "https://evil.example", "/\\evil.example", "", "/a\nb"];
        assert_eq!(wishes.map(back), ["/try?a=1", "/", "/", "/", "/", "/"]);
    }
}
