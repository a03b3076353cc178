#!/usr/bin/env python3
"""Make the small versions of public/samples/photos.json's photographs (Pillow)."""

import json
import pathlib

from PIL import Image, ImageOps

FOLDER = pathlib.Path("public/samples")

if __name__ == "__main__":
    (FOLDER / "thumbnails").mkdir(exist_ok=True)
    for photo in json.loads((FOLDER / "photos.json").read_text()):
        picture = Image.open(FOLDER / photo["file"]).convert("RGB")
        small = ImageOps.fit(picture, (264, 198), Image.Resampling.LANCZOS)
        small.save(FOLDER / "thumbnails" / f"{pathlib.Path(photo['file']).stem}.webp", quality=78)
