#!/usr/bin/env python3
"""Drives the app in real terminals, takes screenshots, and reports what is torn, stale or left behind.

    python3 tests/terminal/run.py [TERMINAL...] [--program target/release/gradscope] [--out target/terminals]

In each terminal: select FGSM, ten steps forward, five back, branch, compare, help over the picture, resize from 140x40 to 80x24 and
back, suspend to the shell and resume, quit. Where the screen must be unchanged, its screenshot is compared with the earlier one; after
quitting, the shell's prompt must be clean. Needs `termshot` (from TERMSHOT, PATH or GRADSCOPE_SHARED/tools) and the Debian packages
xvfb xdotool x11-utils imagemagick fonts-dejavu-core ncurses-term tmux kitty libgl1-mesa-dri libgl1 xterm foot weston. Terminals whose
packages are missing are skipped with a message; with GRADSCOPE_TERMINALS=1 that is a failure.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# name: (required programs, extra options, whether it draws pixels)
TERMINALS = {
    "kitty": (["kitty"], [], True),
    "xterm-sixel": (["xterm"], [], True),
    "foot": (["foot", "weston"], [], True),
    "tmux": (["tmux", "xterm"], [], False),
    "tmux-kitty": (["tmux", "kitty"], ["--tmux-conf", "set -g allow-passthrough on"], True),
    "xterm16": (["xterm"], [], False),
    "nocolor": (["xterm"], [], False),
}
ALWAYS = ["Xvfb", "xdotool", "convert"]

# Run from a shell, so that Ctrl-Z works. Screenshots are taken when the screen is idle.
KEYS = """
 'type:PS1="shell> "; clear' Enter sleep:0.5 'type:{program}' Enter wait:gradcam settle:1.0
 / f g s m sleep:0.3 Enter settle:1.0 ] settle:0.6 {on} settle:0.8 {back} settle:1.0 shot:{out}/1-back.png
 f settle:0.8 . settle:0.5 v settle:1.0 shot:{out}/2-compared.png
 ? settle:0.8 shot:{out}/3-help.png Esc settle:1.0 shot:{out}/4-closed.png
 resize:80x24 settle:1.5 shot:{out}/5-small.png resize:140x40 settle:1.5 sleep:6 shot:{out}/6-large.png
 C-z settle:1.0 shot:{out}/7-shell.png 'type:fg' Enter settle:1.5 sleep:6 shot:{out}/8-again.png
 q settle:1.0 'type:echo left with $?' Enter settle:0.5 shot:{out}/9-left.png
"""


def main():
    args = parser().parse_args()
    missing = [tool for tool in ALWAYS if not shutil.which(tool)] + ([] if termshot() else ["termshot"])
    failed, left_out = [], []
    for name in args.terminals or TERMINALS:
        needed = missing + [tool for tool in TERMINALS[name][0] if not shutil.which(tool)]
        if needed:
            left_out.append(name)
            print(f"{name:12} skipped: {', '.join(needed)} not installed")
            continue
        wrong = drive(name, args)
        print(f"{name:12} {'ok' if not wrong else '; '.join(wrong)}", flush=True)
        failed += [name] if wrong else []
    required = os.environ.get("GRADSCOPE_TERMINALS") == "1"
    sys.exit(1 if failed or (required and left_out) else 0)


def parser():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("terminals", nargs="*", metavar="TERMINAL", choices=[[], *TERMINALS], help=", ".join(TERMINALS))
    p.add_argument("--program", type=Path, default=ROOT / "target/release/gradscope")
    p.add_argument("--out", type=Path, default=ROOT / "target/terminals")
    return p


def termshot():
    shared = os.environ.get("GRADSCOPE_SHARED")
    places = [os.environ.get("TERMSHOT"), shutil.which("termshot"), shared and f"{shared}/tools/termshot"]
    return next((place for place in places if place and Path(place).exists()), None)


def drive(name, args):
    """Runs the app in one terminal; returns a list of problems."""
    out = (args.out / name).resolve()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    program = f"{args.program.resolve()} --fresh"
    keys = KEYS.format(program=program, out=out, on=". sleep:0.25 " * 10, back=", sleep:0.25 " * 5)
    command = [termshot(), "--term", name, "--size", "140x40", "--timeout", "20", "--record", str(out / "record"), *TERMINALS[name][1]]
    command += ["--env", f"GRADSCOPE_STATE={out}/state", "--env", "GRADSCOPE_CONFIG=", "--keys", " ".join(keys.split("\n"))]
    for _ in range(2):  # under weston, occasionally nothing is drawn at all
        ran = subprocess.run([*command, "--", "bash", "--norc", "-i"], capture_output=True, text=True)
        if ran.returncode == 0:
            break
    (out / "termshot.log").write_text(ran.stdout + ran.stderr)
    if ran.returncode != 0:
        return [f"termshot ended with {ran.returncode}: {ran.stderr.strip().splitlines()[-1:]}"]
    return judged(out, TERMINALS[name][2], name != "foot")


def judged(out, pixels, same_size):
    """Compares the screenshots. `same_size`: whether the window regains its size; under Weston, foot's font stays small."""
    wrong = []
    same = [("4-closed", "2-compared", "the help leaves traces behind"),
            ("8-again", "6-large", "resuming from the shell changes the screen")]
    if same_size:
        same.append(("6-large", "4-closed", "resizing back and forth changes the screen"))
    for now, before, says in same:
        share = differing(out / f"{now}.png", out / f"{before}.png")
        if share > 0.004:
            wrong.append(f"{says} ({share:.2%} of {now} differs from {before})")
    for shot in ("1-back", "5-small", "6-large", "8-again"):
        if pixels and colours(out / f"{shot}.png") < 500:
            wrong.append(f"no picture is drawn in {shot}")
    for shot in ("7-shell", "9-left"):
        if colours(out / f"{shot}.png") > 400:
            wrong.append(f"a picture is left behind in {shot}")
    text = (out / "record/output.bin").read_bytes().decode("utf8", "replace")
    if not re.search(r"left with 0", text):
        wrong.append("it did not end with 0")
    if not list((out / "state").glob("*.json")):
        wrong.append("the session is not kept")
    return wrong


def differing(one, other):
    """The share of pixels that differ by more than 15%, after smoothing out single pixels; without the status line."""
    alike = ["-resize", "630x360!", "-blur", "0x2", "-gravity", "South", "-chop", "0x20"]
    command = ["convert", one, other, *alike, "-compose", "difference", "-composite", "-colorspace", "gray", "-threshold", "15%"]
    said = subprocess.run([*command, "-format", "%[fx:mean]", "info:"], capture_output=True, text=True)
    return float(said.stdout) if said.returncode == 0 else 1.0


def colours(shot):
    said = subprocess.run(["convert", shot, "-format", "%k", "info:"], capture_output=True, text=True)
    return int(said.stdout or 0)


if __name__ == "__main__":
    main()
