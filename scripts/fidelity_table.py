#!/usr/bin/env python3
"""A table of what the fidelity measures say of several methods: SqueezeNet 1.0, the dog and the cat, class 243.

    scripts/fidelity_table.py --gradscope target/release/gradscope --weights squeezenet1_0_imagenet.safetensors \
        --picture dog_cat_both.png > docs/fidelity.md

Every number is that of `gradscope run MEASURE --set method=METHOD --json`; nothing is computed here. Needs Python alone.
"""

import argparse
import json
import subprocess

METHODS = ["saliency", "smoothgrad", "integrated_gradients", "gradcam", "guided_backprop", "lrp"]
MEASURES = ["deletion_insertion", "max_sensitivity", "sparseness"]
HEAD = """# What the measures say

SqueezeNet 1.0 on the picture of a dog and a cat, class 243 (bull mastiff), every method at its defaults. For deletion,
insertion and the Gini index a map is one number a pixel, the sum of {colours} over its colours. Deletion and insertion: area
under the class's probability over {stages} stages, deletion by the network's mean, insertion into RISE's blur. Max-sensitivity:
the greatest relative change of the map, as the method gives it, over {nearby} pictures within ±0.02. Gini index: 0 even, 1 all on
one pixel. One picture is an example, not a ranking, and painted pictures are unlike those the network learned from. Written by
`scripts/fidelity_table.py`.

| method | deletion (less is better) | insertion (more is better) | max-sensitivity (less is steadier) | Gini index |
|---|---|---|---|---|"""


def ask(args, measure, method):
    """The result of one measure of one method."""
    command = [args.gradscope, "run", measure, "-m", "squeezenet1_0", "-w", args.weights, "-i", args.picture, "-t", "243",
               "--set", f"method={method}", "--json"]
    if measure != "max_sensitivity":
        command += ["--set", f"colours={args.colours}"]
    if measure == "deletion_insertion":
        command += ["--set", f"steps={args.steps}"]
    if measure == "max_sensitivity":
        command += ["--set", f"samples={args.samples}"]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def row(args, method):
    """One line of the table."""
    curves, moved, sparse = (ask(args, measure, method) for measure in MEASURES)
    areas = curves["steps"][-1]
    table = next(f["table"]["rows"] for f in sparse["figures"] if "table" in f)
    numbers = [areas["deletion_area"], areas["insertion_area"], moved["steps"][-1]["max"], float(dict(table)["Gini index"])]
    return f"| `{method}` | " + " | ".join(f"{n:.3f}" for n in numbers) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gradscope", default="gradscope")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--picture", required=True)
    parser.add_argument("--steps", type=int, default=100, help="stages of deletion and insertion")
    parser.add_argument("--samples", type=int, default=10, help="pictures nearby for the sensitivity")
    parser.add_argument("--colours", default="abs", choices=["abs", "sum"])
    args = parser.parse_args()
    colours = "magnitudes" if args.colours == "abs" else "signed values"
    print(HEAD.format(colours=colours, stages=args.steps, nearby=args.samples), flush=True)
    for method in METHODS:
        print(row(args, method), flush=True)


if __name__ == "__main__":
    main()
