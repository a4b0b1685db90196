#!/usr/bin/env python3
"""Latency from a key press to the changed screen, in a pseudo-terminal: python3 scripts/bench/latency.py [--keys 300] [--method rise]

A method runs on the worker while key presses move the cursor in the layers pane, which triggers no computation. Prints the
median, the 99th percentile and the maximum time until the first byte of the change, in milliseconds, both idle and while the
method runs; and how many bytes the idle app writes and how much CPU time it uses in five seconds.
"""
import argparse
import fcntl
import os
import pty
import random
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--program", type=Path, default=ROOT / "target/release/gradscope")
    p.add_argument("--keys", type=int, default=300)
    p.add_argument("--method", default="rise", help="method to run meanwhile; must outlast the key presses")
    args = p.parse_args()
    for name, playing in (("at rest", False), ("while it runs", True)):
        app = App(args.program, args.method)
        if playing:
            app.write(b" ")
        app.drain(1.0)
        app.write(b"2")  # the layers pane
        app.drain(0.5)
        times = sorted(app.press(b"k" if i % 2 else b"j") for i in range(args.keys))
        at = lambda share: times[min(int(share * len(times)), len(times) - 1)] * 1e3
        print(f"{name:14} median {at(0.5):6.1f} ms   99th percentile {at(0.99):6.1f} ms   maximum {at(1.0):6.1f} ms")
        if not playing:
            app.drain(1.5, whole=True)  # until the bandwidth is no longer shown
            before, written = app.cpu(), app.drain(5.0, whole=True)
            print(f"{'idle, 5 s':14} {written} bytes, {(app.cpu() - before) * 1e3:.0f} ms of CPU")
        print(f"{name:14} {app.cpu():.1f} s of CPU in all") if playing else None
        app.end()


class App:
    """gradscope on a 140x40 pseudo-terminal that answers no queries."""

    def __init__(self, program, method, options=("--set", "samples=20000"), wait=3.0):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 1260, 720))
        env = os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor", "GRADSCOPE_STATE": "", "GRADSCOPE_CONFIG": ""}
        command = [program, "--method", method, "--graphics", "half", *options]
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, env=env, start_new_session=True)
        os.close(slave)
        self.drain(wait, whole=True)

    def write(self, keys):
        os.write(self.master, keys)

    def drain(self, seconds, whole=False):
        """Reads until output pauses, or for the whole time; returns the bytes read."""
        end, count = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            if select.select([self.master], [], [], 0.05 if not whole else 0.2)[0]:
                count += len(os.read(self.master, 1 << 20))
            elif not whole:
                break
        return count

    def press(self, key):
        """Seconds until the row that the cursor left or reached is written: an attribute change in the second pane."""
        time.sleep(random.uniform(0.03, 0.08))
        self.drain(0.0)
        while select.select([self.master], [], [], 0)[0]:
            os.read(self.master, 1 << 20)
        begun, seen = time.monotonic(), b""
        self.write(key)
        while MARK not in seen:
            if not select.select([self.master], [], [], 2.0)[0]:
                raise SystemExit(f"nothing came after {key!r}")
            seen += os.read(self.master, 1 << 20)
        return time.monotonic() - begun

    def cpu(self):
        """CPU seconds used so far."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self):
        self.process.terminate()
        self.process.wait(10)
        os.close(self.master)


# The row under the cursor is in reverse video.
MARK = b"\x1b[7m"

if __name__ == "__main__":
    main()
