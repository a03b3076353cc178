"""Writes server/lab/tests/pictures: small pictures of the kinds that phones and tools make, from which the tests of
decoders start. `read-*` is read, `kind-*` is of a kind that is named, `other-*` is of a format that is named.

Usage: make_hostile_pictures.py [FOLDER]; needs Pillow 12 or newer.
"""

import sys
from pathlib import Path

from PIL import Image

folder = Path(sys.argv[1] if len(sys.argv) > 1 else "server/lab/tests/pictures")
folder.mkdir(parents=True, exist_ok=True)
size = (24, 18)
picture = Image.new("RGB", size)
picture.putdata([(x * 10, y * 14, (x * y) % 256) for y in range(size[1]) for x in range(size[0])])
other = picture.transpose(Image.Transpose.ROTATE_180)

WANTED = {
    "read-baseline.jpg": (picture, {"quality": 90}),
    "read-progressive.jpg": (picture, {"quality": 90, "progressive": True}),
    "read-restarts.jpg": (picture, {"quality": 90, "restart_marker_blocks": 1}),
    "read-grey.jpg": (picture.convert("L"), {"quality": 90}),
    "read-inks.jpg": (picture.convert("CMYK"), {"quality": 90}),
    "read-palette.png": (picture.quantize(16), {}),
    "read-one-bit.png": (picture.convert("1"), {}),
    "read-transparent.png": (picture.convert("RGBA"), {}),
    "read-sixteen-bits.png": (picture.convert("L").convert("I;16"), {}),
    "read-lossy.webp": (picture, {"quality": 80}),
    "read-lossless.webp": (picture, {"lossless": True}),
    "read-moving.webp": (picture, {"save_all": True, "append_images": [other]}),
    "read-moving.gif": (picture, {"save_all": True, "append_images": [other]}),
    "read-palette.bmp": (picture.quantize(16), {}),
    "read-deflate.tif": (picture, {"compression": "tiff_adobe_deflate"}),
    "read-lzw.tif": (picture, {"compression": "tiff_lzw"}),
    "read-packbits.tif": (picture, {"compression": "packbits"}),
    "kind-fax.tif": (picture.convert("1"), {"compression": "group4"}),
    "kind-palette.tif": (picture.quantize(16), {}),
    "kind-floats.tif": (picture.convert("F"), {}),
    "other-avif.avif": (picture, {}),
    "other-jpeg-2000.jp2": (picture, {}),
}
for name, (image, options) in WANTED.items():
    image.save(folder / name, **options)
