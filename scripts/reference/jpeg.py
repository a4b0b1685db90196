"""Writes tests/fixtures/jpeg: small JPEGs of every kind, each with the pixels that Pillow decodes from it as PNG, and a picture before
and after Pillow saves it as JPEG.

python3 scripts/reference/jpeg.py        (Pillow 13.0.0 with libjpeg-turbo; cjpeg of libjpeg-turbo 2.1.5 for 4:4:0 and 4:1:1)
"""
import io
import subprocess
from pathlib import Path

import numpy as np
from PIL import Image

OUT = Path(__file__).parents[2] / "tests/fixtures/jpeg"
OUT.mkdir(parents=True, exist_ok=True)


def picture(width, height, seed):
    """Smooth colors, an edge and a little noise."""
    y, x = np.mgrid[:height, :width]
    rng = np.random.default_rng(seed)
    waves = [128 + 110 * np.sin(x / a + y / b + seed) for a, b in ((5, 9), (7, -6), (-11, 4))]
    values = np.stack(waves, -1) + rng.normal(0, 12, (height, width, 3))
    values[x > 0.6 * width + 0.2 * y] = (250, 20, 40)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def keep(name, data):
    (OUT / f"{name}.jpg").write_bytes(data)
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        image.convert("L" if image.mode == "L" else "RGB").save(OUT / f"{name}.png", optimize=True)


def pillow(image, **options):
    data = io.BytesIO()
    image.save(data, "JPEG", **options)
    return data.getvalue()


def cjpeg(image, *options):
    ppm = io.BytesIO()
    image.save(ppm, "PPM")
    return subprocess.run(["cjpeg", *options], input=ppm.getvalue(), capture_output=True, check=True).stdout


def main():
    for name, sampling in (("444", "4:4:4"), ("422", "4:2:2"), ("420", "4:2:0")):
        keep(name, pillow(picture(37, 23, 1), quality=85, subsampling=sampling))
        keep(f"{name}_progressive", pillow(picture(29, 35, 2), quality=70, subsampling=sampling, progressive=True))
    for name, sampling in (("440", "1x2"), ("411", "4x1"), ("mixed", "2x2,1x2,2x1")):
        keep(name, cjpeg(picture(37, 23, 3), "-quality", "80", "-sample", sampling))
        keep(f"{name}_progressive", cjpeg(picture(21, 30, 4), "-quality", "60", "-progressive", "-sample", sampling))
    keep("grey", pillow(picture(33, 18, 5).convert("L"), quality=75))
    keep("grey_progressive", pillow(picture(18, 33, 6).convert("L"), quality=90, progressive=True))
    keep("restarts", pillow(picture(50, 40, 7), quality=75, restart_marker_blocks=2))
    keep("restarts_progressive", pillow(picture(40, 50, 8), quality=75, progressive=True, restart_marker_rows=1))
    keep("rgb", pillow(picture(19, 17, 9), quality=80, keep_rgb=True))
    keep("coarse", pillow(picture(64, 48, 10), quality=5))
    keep("fine", pillow(picture(24, 24, 11), quality=100))
    cmyk = picture(27, 22, 12).convert("CMYK")
    cmyk.putdata([(c, m, y, (c + 2 * m) % 150) for c, m, y, _ in cmyk.getdata()])
    for name, options in (("cmyk", {}), ("cmyk_420", {"subsampling": "4:2:0"}), ("cmyk_progressive", {"progressive": True})):
        keep(name, pillow(cmyk, quality=80, **options))
        # Adobe's transform 2 marks the same four components as YCCK.
        data = bytearray(pillow(cmyk, quality=80, **options))
        data[data.index(b"Adobe") + 11] = 2
        keep(name.replace("cmyk", "ycck"), bytes(data))
    for width, height in ((1, 1), (2, 3), (3, 2), (5, 1), (8, 16), (17, 16)):
        keep(f"{width}x{height}", pillow(picture(width, height, 13), quality=90))
    source = picture(41, 30, 14)
    source.save(OUT / "source.png", optimize=True)
    for quality in (30, 75, 95):
        with Image.open(io.BytesIO(pillow(source, quality=quality))) as image:
            image.save(OUT / f"source_{quality}.png", optimize=True)


main()
