"""Draws all attribution methods on one picture, for one or several targets: docs/methods.jpg.

    python3 scripts/contact_sheet.py docs/methods.jpg --target 243 --target 281 -- path/to/gradscope [-m MODEL -w WEIGHTS -i PICTURE]

Each tile is the first picture that `gradscope run METHOD --out` draws. Needs Pillow.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

from PIL import Image, ImageDraw

TILE, LINE, COLUMNS = 168, 16, 7

parser = argparse.ArgumentParser()
parser.add_argument("out")
parser.add_argument("--target", action="append", required=True)
parser.add_argument("command", nargs="+")
args = parser.parse_args()
program, *rest = args.command

rows = json.loads(subprocess.run([program, "methods", "--json"], capture_output=True, check=True).stdout)
asked = [row["name"] for row in rows if row["group"] == "attribution"]


def tile(method, target):
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "run", method, "-t", target, "--out", folder, *rest]
        run = subprocess.run(command, capture_output=True, text=True)
        if run.returncode:
            print(f"{method} {target}: {run.stderr.strip().splitlines()[0]}")
            return Image.new("RGB", (TILE, TILE), "#303030")
        picture = sorted(pathlib.Path(folder).glob("0*.png"))[0]
        return Image.open(picture).convert("RGB").resize((TILE, TILE), Image.Resampling.LANCZOS)


def rows_of(count):
    return -(-count // COLUMNS)


height = rows_of(len(asked)) * (TILE + LINE) + LINE
sheet = Image.new("RGB", (COLUMNS * (TILE + 4), height * len(args.target)), "black")
draw = ImageDraw.Draw(sheet)
for part, target in enumerate(args.target):
    top = part * height
    draw.text((4, top + 2), f"target {target}", fill="#ffd75f")
    for i, method in enumerate(asked):
        x, y = i % COLUMNS * (TILE + 4), top + LINE + i // COLUMNS * (TILE + LINE)
        sheet.paste(tile(method, target), (x, y))
        draw.text((x + 2, y + TILE + 1), method, fill="white")
        print(method, target, flush=True)
sheet.save(args.out, quality=88)
