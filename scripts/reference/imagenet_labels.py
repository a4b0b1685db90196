"""Writes models/labels/imagenet.txt, torchvision's 1000 class names in the standard order, and imagenet.synonyms.txt,
the WordNet id of each class with all words of its synset, as listed by ILSVRC 2012.

python3 scripts/reference/imagenet_labels.py        (torchvision 0.29.2, timm 1.0.31)
"""
from pathlib import Path

import timm.data
from torchvision.models._meta import _IMAGENET_CATEGORIES

labels = Path(__file__).parents[2] / "models/labels"
assert len(_IMAGENET_CATEGORIES) == 1000
(labels / "imagenet.txt").write_text("\n".join(_IMAGENET_CATEGORIES) + "\n", encoding="utf-8")

info = Path(timm.data.__file__).parent / "_info"
lemmas = dict(line.split("\t") for line in (info / "imagenet_synset_to_lemma.txt").read_text().splitlines())
ids = (info / "imagenet_synsets.txt").read_text().split()
assert len(ids) == 1000 and ids == sorted(ids)
lines = [f"{id}, {lemmas[id]}" for id in ids]
(labels / "imagenet.synonyms.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
