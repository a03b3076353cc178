//! numpy's arrays and numbers in pickles, whatever version wrote them, and in either order in memory.

use super::{Object, Pickle, Value};

/// Kinds of numbers that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Signed,
    Unsigned,
}

/// An array of whole numbers as it lies in a pickle.
#[derive(Debug)]
pub struct Array<'a> {
    /// Length in each dimension.
    pub shape: Vec<usize>,
    kind: Kind,
    width: usize,
    big_endian: bool,
    /// The first index changes fastest (Fortran's order), not the last (C's).
    columns_first: bool,
    data: &'a [u8],
}

const WORDS: [&str; 2] = ["numpy.core.", "numpy._core."];

fn is(object: &Object, name: &str) -> bool {
    WORDS.iter().any(|start| object.class.strip_prefix(start) == Some(name))
}

impl<'a> Array<'a> {
    /// The array, or the single number, that a value stands for; `input` is what was parsed.
    ///
    /// # Errors
    /// A clause that says what it is instead, or what is wrong with it.
    pub fn of(pickle: &'a Pickle, value: &'a Value, input: &'a [u8]) -> Result<Self, String> {
        let object = pickle.object(value).ok_or("it is no array of numpy")?;
        let arguments = pickle.items(&object.arguments).unwrap_or_default();
        let (shape, kind, columns_first, data) = if is(object, "multiarray._reconstruct") {
            // (version, shape, type, Fortran's order, data)
            match pickle.items(&object.state) {
                Some([_, shape, kind, order, data]) => (Some(shape), kind, matches!(order, Value::Bool(true)), data),
                _ => return Err("its array has no content".to_owned()),
            }
        } else if is(object, "numeric._frombuffer") {
            match arguments {
                [data, kind, shape, Value::Text(order)] => (Some(shape), kind, &**order == "F", data),
                _ => return Err("its array has no content".to_owned()),
            }
        } else if is(object, "multiarray.scalar") {
            match arguments {
                [kind, data] => (None, kind, false, data),
                _ => return Err("its number has no content".to_owned()),
            }
        } else {
            return Err(format!("it is no array of numpy but `{}`", object.class));
        };
        let shape = match shape {
            Some(shape) => sizes(pickle, shape)?,
            None => Vec::new(),
        };
        let (kind, width, big_endian) = numbers(pickle, kind)?;
        let data = pickle.bytes(data, input).ok_or("its array holds no numbers but objects")?;
        let wanted = shape.iter().try_fold(width, |n, d| n.checked_mul(*d));
        if wanted != Some(data.len()) {
            return Err(format!("{} bytes do not fit an array of {shape:?} numbers of {width} bytes", data.len()));
        }
        Ok(Self { shape, kind, width, big_endian, columns_first, data })
    }

    /// Its bytes in the order of rows (the last index changes fastest), if each number is a byte from 0 to 255.
    #[must_use]
    pub fn bytes(&self) -> Option<Vec<u8>> {
        let bytes = self.width == 1 && self.kind == Kind::Unsigned;
        match (bytes, self.columns_first) {
            (false, _) => None,
            (true, false) => Some(self.data.to_vec()),
            (true, true) => Some(self.places().map(|at| self.data[at]).collect()),
        }
    }

    /// Its numbers in the order of rows; `None` for one that fits no 64 bits.
    #[must_use]
    pub fn numbers(&self) -> Option<Vec<i64>> {
        self.places().map(|place| self.number(place)).collect()
    }

    fn number(&self, place: usize) -> Option<i64> {
        let bytes = &self.data[place * self.width..][..self.width];
        let negative = |top: &u8| self.kind == Kind::Signed && top & 0x80 != 0;
        let join = |n: i64, byte: &u8| (n << 8) | i64::from(*byte);
        let first = if self.big_endian { bytes.first() } else { bytes.last() };
        let start = if first.is_some_and(negative) { -1 } else { 0 };
        let number =
            if self.big_endian { bytes.iter().fold(start, join) } else { bytes.iter().rev().fold(start, join) };
        (self.kind == Kind::Signed || number >= 0).then_some(number)
    }

    /// Where the numbers lie, in the order of rows.
    fn places(&self) -> impl Iterator<Item = usize> {
        let count: usize = self.shape.iter().product();
        let (shape, columns_first) = (&self.shape, self.columns_first);
        (0..count).map(move |row_order| {
            if !columns_first {
                return row_order;
            }
            let (mut rest, mut at, mut step) = (row_order, 0, count);
            for length in shape.iter().rev() {
                step /= length;
                at += rest % length * step;
                rest /= length;
            }
            at
        })
    }
}

fn sizes(pickle: &Pickle, shape: &Value) -> Result<Vec<usize>, String> {
    let sizes = pickle.items(shape).unwrap_or_default();
    if sizes.len() > 32 {
        return Err(format!("its array has {} dimensions", sizes.len()));
    }
    let size = |v: &Value| if let Value::Int(n) = v { usize::try_from(*n).ok() } else { None };
    sizes.iter().map(size).collect::<Option<_>>().ok_or_else(|| "its array's shape is not made of sizes".to_owned())
}

/// What `numpy.dtype("u1", ...)`, with its state `(version, byte order, ...)`, says of numbers.
fn numbers(pickle: &Pickle, value: &Value) -> Result<(Kind, usize, bool), String> {
    let object = pickle.object(value).filter(|o| &*o.class == "numpy.dtype").ok_or("its numbers have no type")?;
    let name = match pickle.items(&object.arguments).and_then(<[_]>::first) {
        Some(Value::Text(name)) => &**name,
        _ => return Err("its numbers have no type".to_owned()),
    };
    let (kind, width) = name.split_at_checked(1).ok_or("its numbers have no type")?;
    let kind = match kind {
        "u" | "b" => Kind::Unsigned,
        "i" => Kind::Signed,
        _ => return Err(format!("its array holds `{name}`, no whole numbers")),
    };
    let width = width.parse().ok().filter(|w| [1, 2, 4, 8].contains(w));
    let width = width.ok_or_else(|| format!("its array holds `{name}`, no whole numbers"))?;
    let order = pickle.items(&object.state).and_then(|s| s.get(1));
    Ok((kind, width, matches!(order, Some(Value::Text(order)) if &**order == ">")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pickle of an array of two rows and three columns as numpy 1 writes it, in protocol 2.
    fn array(kind: &str, order: &str, columns_first: bool, data: &[u8]) -> Vec<u8> {
        let text = |t: &str| [&[b'U', t.len() as u8][..], t.as_bytes()].concat();
        [
            b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n)R(K\x01K\x02K\x03\x86cnumpy\ndtype\n".to_vec(),
            text(kind),
            b"K\x00K\x01\x87R(K\x03".to_vec(),
            text(order),
            b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb".to_vec(),
            if columns_first { b"\x88".to_vec() } else { b"\x89".to_vec() },
            [&[b'C', data.len() as u8][..], data].concat(),
            b"tb.".to_vec(),
        ]
        .concat()
    }

    fn read(bytes: &[u8]) -> Result<Vec<i64>, String> {
        let (pickle, _) = Pickle::parse(bytes).expect("a pickle");
        let array = Array::of(&pickle, &pickle.root, bytes)?;
        assert_eq!(array.shape, [2, 3]);
        array.numbers().ok_or_else(|| "too large".to_owned())
    }

    #[test]
    fn arrays_have_the_same_numbers_in_any_order_and_width() {
        let wanted = Ok(vec![1, 2, 3, 4, 5, -1]);
        let bytes = |numbers: [i16; 6], big: bool| -> Vec<u8> {
            numbers.iter().flat_map(|n| if big { n.to_be_bytes() } else { n.to_le_bytes() }).collect()
        };
        assert_eq!(read(&array("i2", "<", false, &bytes([1, 2, 3, 4, 5, -1], false))), wanted);
        assert_eq!(read(&array("i2", ">", false, &bytes([1, 2, 3, 4, 5, -1], true))), wanted);
        assert_eq!(read(&array("i2", ">", true, &bytes([1, 4, 2, 5, 3, -1], true))), wanted);
        assert_eq!(read(&array("i1", "|", true, &[1, 4, 2, 5, 3, 255])), wanted);
        assert_eq!(read(&array("u1", "|", false, &[1, 2, 3, 4, 5, 255])), Ok(vec![1, 2, 3, 4, 5, 255]));
    }

    #[test]
    fn what_is_no_array_of_whole_numbers_is_said() {
        let said = read(&array("f4", "<", false, &[0; 24])).expect_err("refused");
        assert!(said.contains("`f4`"), "{said}");
        let said = read(&array("u1", "|", false, &[0; 7])).expect_err("refused");
        assert!(said.contains("7 bytes do not fit"), "{said}");
    }
}
