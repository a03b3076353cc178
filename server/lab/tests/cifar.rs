//! CIFAR-100 as any Python and numpy saves it again.

mod disk;
mod saved;

use disk::Disk;
use saved::{dictionary, number, text};
use virboard_lab::data::{Split, Target};

/// What a file of CIFAR-100 says: two pictures with their labels.
fn cifar(labels: &[u8], data: &[u8]) -> Vec<u8> {
    [b"\x80\x02".to_vec(), dictionary(&[("fine_labels", labels.to_vec()), ("data", data.to_vec())]), b".".to_vec()]
        .concat()
}

const PIXELS: usize = 3072;

/// The pixels of two pictures, picture by picture.
fn pixels() -> Vec<u8> {
    (0..2 * PIXELS).map(|i| (i * 7 % 251) as u8).collect()
}

/// The same, the pictures' first pixels first.
fn columns_first() -> Vec<u8> {
    let rows = pixels();
    (0..2 * PIXELS).map(|i| rows[i % 2 * PIXELS + i / 2]).collect()
}

/// A type of numbers as numpy pickles it.
fn dtype(kind: &str, order: &str) -> Vec<u8> {
    [
        b"cnumpy\ndtype\n(".to_vec(),
        text(kind),
        b"K\x00K\x01tR(K\x03".to_vec(),
        text(order),
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb".to_vec(),
    ]
    .concat()
}

fn long_bytes(bytes: &[u8]) -> Vec<u8> {
    [b"B".to_vec(), (bytes.len() as u32).to_le_bytes().to_vec(), bytes.to_vec()].concat()
}

/// An array as numpy pickles it since ever.
fn reconstructed(module: &str, shape: &[usize], kind: &[u8], fortran: bool, data: &[u8]) -> Vec<u8> {
    [
        format!("c{module}.multiarray\n_reconstruct\n(").into_bytes(),
        b"cnumpy\nndarray\nK\x00\x85C\x01btR(K\x01".to_vec(),
        saved::tuple(shape),
        kind.to_vec(),
        vec![if fortran { 0x88 } else { 0x89 }],
        data.to_vec(),
        b"tb".to_vec(),
    ]
    .concat()
}

/// An array as numpy pickles it in protocol 5.
fn from_buffer(shape: &[usize], order: &str, data: &[u8]) -> Vec<u8> {
    [
        b"cnumpy._core.numeric\n_frombuffer\n(".to_vec(),
        [vec![0x96], (data.len() as u64).to_le_bytes().to_vec(), data.to_vec()].concat(),
        dtype("u1", "|"),
        saved::tuple(shape),
        text(order),
        b"tR".to_vec(),
    ]
    .concat()
}

/// Bytes as Python 3 writes them in protocol 2: a text whose letters are the bytes.
fn encoded(bytes: &[u8]) -> Vec<u8> {
    let letters: String = bytes.iter().map(|b| char::from(*b)).collect();
    [b"c_codecs\nencode\n(".to_vec(), text(&letters), text("latin1"), b"tR".to_vec()].concat()
}

/// Bytes as protocol 0 writes them: a line with escapes.
fn line(bytes: &[u8]) -> Vec<u8> {
    let escaped: Vec<String> = bytes.iter().map(|b| format!("\\x{b:02x}")).collect();
    format!("S'{}'\n", escaped.concat()).into_bytes()
}

#[test]
fn cifar_saved_again_by_any_python_and_numpy_is_the_same() {
    let labels = [b"](".to_vec(), number(3), number(99), b"e".to_vec()].concat();
    let shape = [2, PIXELS];
    let (byte, rows) = (dtype("u1", "|"), pixels());
    let old = reconstructed("numpy.core", &shape, &byte, false, &long_bytes(&rows));
    let plain = cifar(&labels, &old);
    let scalar = |n: i64| {
        [
            b"cnumpy.core.multiarray\nscalar\n(".to_vec(),
            dtype("i8", "<"),
            [b"C\x08".to_vec(), n.to_le_bytes().to_vec()].concat(),
            b"tR".to_vec(),
        ]
        .concat()
    };
    let array = |order: &str, bytes: Vec<u8>| {
        reconstructed("numpy._core", &[2], &dtype("i8", order), false, &long_bytes(&bytes))
    };
    let little: Vec<u8> = [3i64, 99].iter().flat_map(|n| n.to_le_bytes()).collect();
    let big: Vec<u8> = [3i64, 99].iter().flat_map(|n| n.to_be_bytes()).collect();
    // Keys as bytes, which Python 3 makes of Python 2's text if it is told to.
    let key = |name: &str| [vec![b'C', name.len() as u8], name.as_bytes().to_vec()].concat();
    let keys =
        [b"\x80\x02}(".to_vec(), key("fine_labels"), labels.clone(), key("data"), old.clone(), b"u.".to_vec()].concat();
    let variants: Vec<(&str, Vec<u8>)> = vec![
        ("keys as bytes", keys),
        ("numpy 2", cifar(&labels, &reconstructed("numpy._core", &shape, &byte, false, &long_bytes(&rows)))),
        (
            "columns first",
            cifar(&labels, &reconstructed("numpy.core", &shape, &byte, true, &long_bytes(&columns_first()))),
        ),
        ("protocol 5", cifar(&labels, &from_buffer(&shape, "C", &rows))),
        ("protocol 5, columns first", cifar(&labels, &from_buffer(&shape, "F", &columns_first()))),
        ("protocol 2 of Python 3", cifar(&labels, &reconstructed("numpy.core", &shape, &byte, false, &encoded(&rows)))),
        ("protocol 0", cifar(&labels, &reconstructed("numpy.core", &shape, &byte, false, &line(&rows)))),
        ("labels as an array", cifar(&array("<", little), &old)),
        ("labels as a big-endian array", cifar(&array(">", big), &old)),
        ("labels as numbers of numpy", cifar(&[b"](".to_vec(), scalar(3), scalar(99), b"e".to_vec()].concat(), &old)),
        (
            "four dimensions",
            cifar(&labels, &reconstructed("numpy.core", &[2, 3, 32, 32], &byte, false, &long_bytes(&rows))),
        ),
    ];
    let read = |bytes: &[u8]| {
        let disk = Disk::new();
        disk.write("cifar-100/train", bytes);
        disk.write("cifar-100/test", bytes);
        let set = disk.open("CIFAR-100").unwrap_or_else(|e| panic!("{e}"));
        let samples: Vec<_> = (0..2).map(|i| set.sample(Split::Train, i).expect("read")).collect();
        samples.into_iter().map(|s| (s.pictures, s.target)).collect::<Vec<_>>()
    };
    let wanted = read(&plain);
    assert_eq!((&wanted[0].1, &wanted[1].1), (&Target::Class(3), &Target::Class(99)));
    let rows = pixels();
    assert_eq!(wanted[1].0[0].get_pixel(1, 0).0, [rows[PIXELS + 1], rows[PIXELS + 1025], rows[PIXELS + 2049]]);
    for (what, bytes) in variants {
        println!("{what}");
        assert!(read(&bytes) == wanted, "{what}");
    }
}

#[test]
fn what_is_wrong_with_a_cifar_pickle_is_said() {
    let labels = |second: usize| [b"](".to_vec(), number(3), number(second), b"e".to_vec()].concat();
    let shape = [2, PIXELS];
    let good = reconstructed("numpy.core", &shape, &dtype("u1", "|"), false, &long_bytes(&pixels()));
    let whole = cifar(&labels(99), &good);
    for (bytes, says) in [
        (cifar(&labels(100), &good), "`fine_labels`: it holds 100, and the classes are 0 to 99"),
        (cifar(&labels(1_000_000_000), &good), "1000000000"),
        (cifar(&[b"](".to_vec(), text("a"), text("b"), b"e".to_vec()].concat(), &good), "something else than numbers"),
        (
            cifar(&labels(4), &reconstructed("numpy.core", &shape, &dtype("f4", "<"), false, &long_bytes(&pixels()))),
            "`f4`",
        ),
        (
            cifar(&labels(4), &reconstructed("numpy.core", &shape, &dtype("i1", "|"), false, &long_bytes(&pixels()))),
            "no bytes",
        ),
        (
            cifar(
                &labels(4),
                &reconstructed("numpy.core", &[PIXELS, 2], &dtype("u1", "|"), false, &long_bytes(&pixels())),
            ),
            "a row should be a picture",
        ),
        (cifar(&labels(4), &text("nothing")), "it is no array of numpy"),
    ] {
        let disk = Disk::new();
        disk.write("cifar-100/train", &bytes);
        disk.write("cifar-100/test", &whole);
        let said = disk.refused("CIFAR-100");
        assert!(said.contains("cifar-100/train") && said.contains(says), "{says}: {said}");
    }
    let disk = Disk::new();
    disk.write("cifar-100/train", &whole);
    disk.write("cifar-100/test", &whole);
    let names = [
        b"\x80\x02".to_vec(),
        dictionary(&[("fine_label_names", [b"](".to_vec(), text("a"), b"e".to_vec()].concat())]),
        b".".to_vec(),
    ]
    .concat();
    for (meta, says) in
        [(&names[..], "it names 1 classes, and there are 100"), (b"\x80\x02", "cut off"), (b"\x80\x02N.", "no list")]
    {
        disk.write("cifar-100/meta", meta);
        let said = disk.refused("CIFAR-100");
        assert!(said.contains("cifar-100/meta") && said.contains(says), "{said}");
    }
}
