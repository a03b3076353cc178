"""The counter-based random numbers that the engine has too (`seeded.rs`): SplitMix64 over FNV-1a
of "SEED/NAME" plus the position."""

import numpy as np


def uniform(seed, name, n):
    """n numbers in [0, 1), double precision; the same as `Stream::uniform`."""
    h = 0xCBF29CE484222325
    for byte in f"{seed}/{name}".encode():
        h = ((h ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    with np.errstate(over="ignore"):
        z = np.uint64(h) + (np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * 2.0**-53


def normal(seed, name, n):
    """n standard normal numbers; the same as `Stream::normal`."""
    u = uniform(seed, name, 2 * n)
    return np.sqrt(-2 * np.log(1 - u[0::2])) * np.cos(2 * np.pi * u[1::2])


def seeded_input(name, shape):
    """Uniform in -2 to 2, in single precision."""
    x = uniform(0, name, int(np.prod(shape))).reshape(shape) * 4 - 2
    return x.astype(np.float32)
