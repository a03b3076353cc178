//! Which names in a pickle stand for data. Nothing that is named is ever looked up or run here; what would run
//! something in Python is refused all the same, so that nobody is led to open the file there.
//!
//! The rule: a class (its name begins with a capital letter) of any package but Python's own only holds data, and so
//! do the names listed here. Functions, and classes of Python's own library, are refused.

/// Types, and functions that rebuild them, that are not classes of other packages.
const DATA: [&str; 61] = [
    "_codecs.encode",
    "argparse.Namespace",
    "builtins.bool",
    "builtins.bytearray",
    "builtins.bytes",
    "builtins.complex",
    "builtins.dict",
    "builtins.float",
    "builtins.frozenset",
    "builtins.int",
    "builtins.list",
    "builtins.object",
    "builtins.range",
    "builtins.set",
    "builtins.slice",
    "builtins.str",
    "builtins.tuple",
    "collections.Counter",
    "collections.OrderedDict",
    "collections.defaultdict",
    "collections.deque",
    "copyreg._reconstructor",
    "datetime.date",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "fractions.Fraction",
    "numpy._core.multiarray._reconstruct",
    "numpy._core.multiarray.scalar",
    "numpy._core.numeric._frombuffer",
    "numpy.core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy.core.numeric._frombuffer",
    "numpy.dtype",
    "numpy.ndarray",
    "pathlib.Path",
    "pathlib.PosixPath",
    "pathlib.PurePath",
    "pathlib.PurePosixPath",
    "pathlib.PureWindowsPath",
    "pathlib.WindowsPath",
    "pathlib._local.PosixPath",
    "pathlib._local.WindowsPath",
    "torch._tensor._rebuild_from_type_v2",
    "torch._utils._rebuild_parameter",
    "torch._utils._rebuild_parameter_with_state",
    "torch._utils._rebuild_tensor",
    "torch._utils._rebuild_tensor_v2",
    "torch.channels_last",
    "torch.contiguous_format",
    "torch.device",
    "torch.dtype",
    "torch.preserve_format",
    "torch.serialization._get_layout",
    "torch.strided",
    "types.SimpleNamespace",
    "numpy.random._pickle.__bit_generator_ctor",
    "numpy.random._pickle.__generator_ctor",
    "numpy.random._pickle.__randomstate_ctor",
];

/// Modules of Python's own of which every class only holds data or says what does.
const MODULES: [&str; 3] = ["collections", "collections.abc", "typing"];

/// Names of Python 2, and what they are called today.
const RENAMED: [(&str, &str); 5] = [
    ("__builtin__.unicode", "builtins.str"),
    ("__builtin__.long", "builtins.int"),
    ("__builtin__.basestring", "builtins.str"),
    ("__builtin__.xrange", "builtins.range"),
    ("copy_reg._reconstructor", "copyreg._reconstructor"),
];

/// Types of numbers, under `numpy.` and `torch.`.
const NUMBERS: [&str; 24] = [
    "bfloat16",
    "bool",
    "bool_",
    "bytes_",
    "complex128",
    "complex64",
    "float16",
    "float32",
    "float64",
    "float8_e4m3fn",
    "float8_e5m2",
    "int16",
    "int32",
    "int64",
    "int8",
    "intc",
    "longlong",
    "object_",
    "qint8",
    "quint8",
    "str_",
    "uint16",
    "uint64",
    "uint8",
];

/// Python's own modules (`sys.stdlib_module_names` of 3.11 and what Python 2 had beside them); those whose names begin
/// with `_` count as well.
const PYTHON: &str = " BaseHTTPServer Cookie HTMLParser Queue SimpleHTTPServer SocketServer StringIO UserDict abc aifc \
    antigravity argparse array ast asynchat asyncio asyncore atexit audioop base64 bdb binascii bisect builtins bz2 \
    cPickle cProfile cStringIO calendar cgi cgitb chunk cmath cmd code codecs codeop collections colorsys commands \
    compileall compression concurrent configparser contextlib contextvars copy copy_reg copyreg crypt csv ctypes \
    curses dataclasses datetime dbm decimal difflib dis distutils doctest dummy_thread email encodings ensurepip enum \
    errno exceptions faulthandler fcntl filecmp fileinput fnmatch fractions ftplib functools gc genericpath getopt \
    getpass gettext glob graphlib grp gzip hashlib heapq hmac html htmlentitydefs htmllib http httplib idlelib imaplib \
    imghdr imp importlib inspect io ipaddress itertools json keyword lib2to3 linecache locale logging lzma mailbox \
    mailcap marshal math mimetypes mmap modulefinder msilib msvcrt multiprocessing netrc new nis nntplib nt ntpath \
    nturl2path numbers opcode operator optparse os ossaudiodev pathlib pdb pickle pickletools pip pipes pkg_resources \
    pkgutil platform plistlib popen2 poplib posix posixfile posixpath pprint profile pstats pty pwd py_compile pyclbr \
    pydoc pydoc_data pyexpat queue quopri random re readline reprlib resource rlcompleter runpy sched secrets select \
    selectors setuptools sgmllib shelve shlex shutil signal site smtpd smtplib sndhdr socket socketserver spwd sqlite3 \
    sre sre_compile sre_constants sre_parse ssl stat statistics string stringprep struct subprocess sunau symtable sys \
    sysconfig syslog tabnanny tarfile telnetlib tempfile termios textwrap this thread threading time timeit tkinter \
    token tokenize tomllib trace traceback tracemalloc tty turtle turtledemo types typing unicodedata unittest urllib \
    urllib2 urlparse uu uuid venv warnings wave weakref webbrowser winreg winsound wsgiref xdrlib xml xmlrpc \
    xmlrpclib zipapp zipfile zipimport zlib zoneinfo ";

/// The name under which something is known today.
pub(super) fn today(module: &str, name: &str) -> String {
    let full = format!("{module}.{name}");
    if let Some((_, now)) = RENAMED.iter().find(|(old, _)| *old == full) {
        return (*now).to_owned();
    }
    match full.strip_prefix("__builtin__.") {
        Some(rest) => format!("builtins.{rest}"),
        None => full,
    }
}

/// Whether a name, as [`today`] has it, stands for data.
pub(super) fn harmless(full: &str) -> bool {
    let Some((module, name)) = full.rsplit_once('.') else { return false };
    DATA.contains(&full)
        || (matches!(module, "numpy" | "torch") && NUMBERS.contains(&name))
        || ((MODULES.contains(&module) || !is_pythons(module)) && is_class(full))
}

fn is_pythons(module: &str) -> bool {
    let first = module.split('.').next().unwrap_or_default();
    // `__main__` is the script that was run; `__torch__` is what TorchScript calls the network.
    let own = matches!(first, "__main__" | "__mp_main__" | "__torch__");
    !own && (first.is_empty() || first.starts_with('_') || PYTHON.contains(&format!(" {first} ")))
}

/// Whether the last part of a name is that of a class.
fn is_class(full: &str) -> bool {
    let name = full.rsplit('.').next().unwrap_or_default();
    name.trim_start_matches('_').starts_with(|c: char| c.is_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_their_types_are_data_and_what_runs_something_is_not() {
        for (module, name) in [
            ("typing", "Any"),
            ("typing", "Dict"),
            ("collections.abc", "Mapping"),
            ("numpy.random._pickle", "__randomstate_ctor"),
            ("__builtin__", "unicode"),
            ("builtins", "tuple"),
            ("omegaconf.dictconfig", "DictConfig"),
            ("omegaconf.base", "ContainerMetadata"),
            ("pytorch_lightning.utilities.parsing", "AttributeDict"),
            ("vissl.config.attr_dict", "AttrDict"),
            ("__main__", "Settings"),
            ("numpy", "float64"),
            ("numpy.dtypes", "Float64DType"),
            ("torch", "FloatStorage"),
            ("torch", "bfloat16"),
            ("torch.optim.lr_scheduler", "CosineAnnealingLR"),
            ("pathlib", "PosixPath"),
        ] {
            assert!(harmless(&today(module, name)), "{module}.{name}");
        }
        for (module, name) in [
            ("builtins", "getattr"),
            ("__builtin__", "eval"),
            ("builtins", "exec"),
            ("os", "system"),
            ("posix", "system"),
            ("subprocess", "Popen"),
            ("webbrowser", "Chrome"),
            ("_io", "FileIO"),
            ("functools", "partial"),
            ("operator", "attrgetter"),
            ("torch.hub", "load"),
            ("torch", "load"),
            ("typing", "get_type_hints"),
            ("collections", "namedtuple"),
            ("anything", "run"),
            ("anything", "Class.method"),
            ("", "System"),
        ] {
            assert!(!harmless(&today(module, name)), "{module}.{name}");
        }
    }
}
