#!/usr/bin/env python3
"""Frame times of a scatter plot in the app, on a pseudo-terminal: python3 scripts/bench/points.py --data mnist:DIR [--method pca]

Waits until the method's points are drawn, then zooms, pans, and selects one point after another. Prints the time from the key
press to the last byte of the frame, and to the last byte of the selected point's picture.
"""
import argparse
import os
import select
import time
from pathlib import Path

from latency import ROOT, App

# The end of a frame, for terminals with synchronized updates.
END = b"\x1b[?2026l"


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=Path, default=ROOT / "target/release/gradscope")
    p.add_argument("--data", required=True)
    p.add_argument("--method", default="pca")
    p.add_argument("--model", default="digits")
    p.add_argument("--count", default="10000")
    p.add_argument("--wait", type=float, default=20, help="seconds to wait for the points")
    args = p.parse_args()
    options = ["-m", args.model, "--data", args.data, "--set", f"count={args.count}"]
    app = App(args.program, args.method, options, args.wait)
    app.write(b"3zw")  # the figures pane, full screen, showing only the points
    app.drain(0.5)
    show("a frame", [frame(app, key) for key in [b"+", b"+", *[b"\x1b[C", b"\x1b[B", b"\x1b[D", b"\x1b[A"] * 25, b"-", b"-"]])
    app.write(b"I")
    app.drain(1.0)
    show("a picture", [picture(app, key) for key in [b"\x1b[C", b"\x1b[B", b"\x1b[D", b"\x1b[A"] * 10])
    app.end()


def show(what, times):
    times = sorted(t * 1e3 for t in times if t is not None)
    print(f"{what:10} median {times[len(times) // 2]:6.1f} ms   maximum {times[-1]:6.1f} ms   of {len(times)}")


def frame(app, key):
    """Seconds from a key press until its frame is written."""
    quiet(app)
    begun, seen = time.monotonic(), b""
    app.write(key)
    while END not in seen:
        if not select.select([app.master], [], [], 2.0)[0]:
            return None
        seen += os.read(app.master, 1 << 20)
    return time.monotonic() - begun


def picture(app, key):
    """Seconds until the second frame after a key press: the first shows the point, the second its picture. None if the picture does not change."""
    quiet(app)
    begun, seen = time.monotonic(), b""
    app.write(key)
    while seen.count(END) < 2:
        if not select.select([app.master], [], [], 0.25)[0]:
            return None
        seen += os.read(app.master, 1 << 20)
    return time.monotonic() - begun


def quiet(app):
    while select.select([app.master], [], [], 0.1)[0]:
        os.read(app.master, 1 << 20)


if __name__ == "__main__":
    main()
