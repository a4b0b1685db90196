"""Cost of rules written in a script: LRP EpsilonPlus by hand against the native rules, interleaved in one session.

    python3 scripts/bench/rules.py path/to/gradscope [arguments of `gradscope run`: -m, -w, -i, …]

Prints the median time of each and the median ratio of the pairs.
"""

import json
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).parent
PAIRS = 15


def milliseconds(program, name, arguments):
    run = subprocess.run([program, "run", HERE / f"{name}.rhai", "--json", *arguments], capture_output=True, check=True)
    return json.loads(run.stdout)["timings"]["last_step_ms"]


program, arguments = sys.argv[1], sys.argv[2:]
pairs = [[milliseconds(program, name, arguments) for name in ("rules_native", "rules_by_hand")] for _ in range(PAIRS)]
native, by_hand = zip(*pairs)
ratios = sorted(b / a for a, b in pairs)
print(f"native {statistics.median(native):.1f} ms, by hand {statistics.median(by_hand):.1f} ms, ratio "
      f"{statistics.median(ratios):.3f} ({ratios[2]:.3f} to {ratios[-3]:.3f} without the outermost two)")
