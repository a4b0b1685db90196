"""Writes THIRD-PARTY.md: every package of Cargo.lock with its licence, and the texts of those that are in the binary.

    python3 scripts/third_party.py
"""

import json
import pathlib
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
# Of several licences that a package offers, the first of these is taken.
TAKEN = ["MIT", "Apache-2.0", "BSD", "Zlib", "ISC", "Unicode", "MPL", "LGPL", "UNLICENSE", "CC0"]

HEAD = """# Third-party notices

gradscope itself is under MIT or Apache-2.0. Its binary is made of the packages below, each under its own licence. Written by
`python3 scripts/third_party.py`; `tests/laws/licences.rs` finds packages that are missing here.

**One of them is under the LGPL**: `ansi_colours` (LGPL-3.0-or-later), which `viuer` uses to draw pictures in 256 colours. It is
compiled into the binary. Whoever passes a binary on must pass this file on with it, with the licence's text, and must let others
replace that library: the source code of gradscope with its `Cargo.lock` is what that takes, since
`cargo build --release --config 'patch.crates-io.ansi_colours.path="…"'` builds the same program with another version of it.
The LGPL adds to the GPL, version 3, whose text is at <https://www.gnu.org/licenses/gpl-3.0.txt>. Source code is not affected.
"""


def metadata(*options):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", *options]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout)


def in_binary(data):
    """Ids of packages that the default features compile in, on any system."""
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    waiting, found = [data["resolve"]["root"]], set()
    while waiting:
        package = waiting.pop()
        if package in found:
            continue
        found.add(package)
        for dep in nodes[package]["deps"]:
            if any(kind["kind"] is None for kind in dep["dep_kinds"]):
                waiting.append(dep["pkg"])
    return found


def text(package):
    """The text of the licence that is taken, of those that stand in a package's folder."""
    folder = pathlib.Path(package["manifest_path"]).parent
    files = [file for file in sorted(folder.iterdir()) if re.match(r"(?i)(licen[sc]e|copying|unlicense|copyright)", file.name)]
    files = [file for file in files if file.is_file()]

    def order(file):
        found = [i for i, name in enumerate(TAKEN) if name.lower() in file.name.lower()]
        return (found or [len(TAKEN)])[0]

    several = "LGPL" in (package["license"] or "") and "OR MIT" not in package["license"]
    files = files if several else sorted(files, key=order)[:1]
    return "\n\n".join(file.read_text(errors="replace").strip() for file in files)


def rows(packages):
    for package in packages:
        yield f"| {package['name']} | {package['version']} | {package['license'] or 'see its text'} |"


def main():
    data = metadata()
    binary = in_binary(data)
    others = [p for p in metadata("--all-features")["packages"] if p["source"] is not None]
    others.sort(key=lambda p: (p["name"], p["version"]))
    inside = [p for p in others if p["id"] in binary]
    outside = [p for p in others if p["id"] not in binary]
    table = "| package | version | licence |\n|---|---|---|"
    parts = [HEAD, "## In binaries, on one system or another\n", table, *rows(inside)]
    parts += ["\n## For building, tests, and features that are off\n", table, *rows(outside), "\n## Texts\n"]
    texts = {}
    for package in inside:
        texts.setdefault(text(package), []).append(f"{package['name']} {package['version']}")
    for words, names in texts.items():
        title = ", ".join(names)
        words = words or "The package has no file with a text; its licence is in the table above."
        parts.append(f"### {title}\n\n~~~text\n{words}\n~~~\n")
    clean = "\n".join(line.rstrip() for line in "\n".join(parts).replace("\t", "    ").splitlines())
    (ROOT / "THIRD-PARTY.md").write_text(re.sub(r"[^\S\n]*\r|\f", "", clean).rstrip() + "\n")
    print(f"{len(inside)} packages in the binary, {len(outside)} others")


main()
