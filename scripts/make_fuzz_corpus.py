"""Makes the pickles that server/lab/tests/fuzz.rs changes at random: data of every protocol, as Python writes it.
Usage: make_fuzz_corpus.py [server/lab/tests/fuzz]"""

import collections
import pathlib
import pickle
import sys

DATA = {
    "numbers": [0, -1, 255, 65_536, 2**40, -(2**70), 0.5, float("inf"), True, None, 1j],
    "text": ["a", "é€", "x" * 300, "'\"\\\n"],
    "bytes": [b"", b"a\x00\xff", bytearray(b"abc"), b"y" * 300],
    "sets": [{1, 2}, frozenset({3}), (), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "dictionaries": [collections.OrderedDict(a=1), collections.defaultdict(list, a=[1]), collections.Counter("aab")],
    "values": [int, str, pathlib.PurePosixPath("a/b")],
}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "server/lab/tests/fuzz") / "pickle"
    folder.mkdir(parents=True, exist_ok=True)
    shared = [1, 2]
    for protocol in range(6):
        data = dict(DATA, shared=[shared, shared])
        (folder / f"protocol{protocol}.pkl").write_bytes(pickle.dumps(data, protocol=protocol))
    nested = []
    for _ in range(40):
        nested = [nested]
    (folder / "nested.pkl").write_bytes(pickle.dumps(nested, protocol=2))


if __name__ == "__main__":
    main()
