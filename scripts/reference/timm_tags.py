"""Writes src/hub/timm.txt: the tag of the default weights of each of timm's networks that has weights on the Hugging Face hub.

    python3 scripts/reference/timm_tags.py

One line per tag: the tag, then the networks.
"""

import collections
import pathlib

import timm

OUT = pathlib.Path(__file__).resolve().parents[2] / "src" / "hub" / "timm.txt"

networks = collections.defaultdict(list)
for name in timm.list_models():
    config = timm.get_pretrained_cfg(name)
    if config and config.tag and f"{name}.{config.tag}" in timm.list_pretrained(f"{name}.*"):
        if config.hf_hub_id in ("timm/", f"timm/{name}.{config.tag}"):
            networks[config.tag].append(name)
OUT.write_text("".join(f"{tag} {' '.join(names)}\n" for tag, names in sorted(networks.items())))
print(f"timm {timm.__version__}: {sum(map(len, networks.values()))} networks, {len(networks)} tags")
