//! Text as the oldest protocol writes it.

/// The bytes that protocol 0 writes as a line: Python's `repr` of a string, or, if `raw`, text in which only what is
/// no Latin letter is written by its number.
pub(super) fn written(line: &str, raw: bool) -> Vec<u8> {
    let quote = line.chars().next().filter(|q| !raw && matches!(q, '\'' | '"') && line.len() > 1 && line.ends_with(*q));
    let inner = if quote.is_some() { &line[1..line.len() - 1] } else { line };
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        let escape = if c == '\\' { rest.chars().next() } else { None };
        let digits = match (raw, escape) {
            (false, Some('x')) => 2,
            (true, Some('u')) => 4,
            (true, Some('U')) => 8,
            _ => 0,
        };
        let number = rest.get(1..=digits).filter(|_| digits > 0).and_then(|d| u32::from_str_radix(d, 16).ok());
        let mut push = |c: char| bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        match (number, escape) {
            (Some(number), _) if !raw => bytes.push(number as u8),
            (Some(number), _) => push(char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)),
            (None, Some(e)) if !raw => push(match e {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                other => other,
            }),
            _ => {
                push(c);
                continue;
            }
        }
        rest = &rest[if number.is_some() { 1 + digits } else { escape.map_or(0, char::len_utf8) }..];
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::written;

    #[test]
    fn strings_of_the_oldest_protocol_have_their_bytes_again() {
        assert_eq!(written(r"'a\x00\xff\\x41\n\'b'", false), b"a\x00\xff\\x41\n'b");
        assert_eq!(written("\"it's\"", false), b"it's");
        assert_eq!(written("\u{e9}\\u20ac\\n", true), "\u{e9}\u{20ac}\\n".as_bytes());
        assert_eq!(written("'", false), b"'");
        assert_eq!(written(r"'cut \x4'", false), b"cut x4");
    }
}
