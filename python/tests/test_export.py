"""Tests the files that `export` writes, and that it leaves the network unchanged."""

from __future__ import annotations

import copy
import json
import tempfile
import unittest
import warnings
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

import gradscope
from tests.networks import Deciding, NotCopyable, OnePicture, Returning, Tiny, TwoInputs

PICTURES = torch.rand(1, 3, 8, 8)


class Exports(unittest.TestCase):
    def setUp(self) -> None:
        torch.manual_seed(0)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name) / "net.pt2"

    def written(self) -> nn.Module:
        module: nn.Module = torch.export.load(self.path).module()
        return module

    def card(self) -> Any:
        return json.loads(self.path.with_name("net.card.json").read_text())

    def assert_refuses(self, parts: list[str], model: nn.Module, example: Any = PICTURES, **values: Any) -> None:
        with self.assertRaises(gradscope.ExportError) as caught:
            gradscope.export(model, example, self.path, **values)
        for part in parts:
            self.assertIn(part, str(caught.exception))
        self.assertEqual(list(self.path.parent.iterdir()), [])

    def test_the_file_computes_what_the_network_computes_for_any_batch(self) -> None:
        model = Tiny()
        gradscope.export(model, PICTURES, self.path)
        pictures = torch.rand(5, 3, 8, 8)
        torch.testing.assert_close(self.written()(pictures), model.eval()(pictures))
        self.assertFalse(self.path.with_name("net.card.json").exists())

    def test_the_network_is_not_modified(self) -> None:
        for kind in (Tiny, NotCopyable):
            with self.subTest(kind.__name__):
                model = kind().half().train()
                model.drop.eval()
                before = {name: value.clone() for name, value in model.state_dict().items()}
                pointers = [p.data_ptr() for p in model.parameters()]
                gradscope.export(model, PICTURES, self.path)
                self.assertEqual((model.training, model.drop.training), (True, False))
                self.assertEqual([p.data_ptr() for p in model.parameters()], pointers)
                self.assertNotIn("forward", model.__dict__)
                for name, value in model.state_dict().items():
                    self.assertEqual(value.dtype, before[name].dtype)
                    self.assertTrue(torch.equal(value, before[name]))
                self.assertEqual(next(self.written().parameters()).dtype, torch.float32)

    def test_the_example_may_be_a_picture_a_shape_or_a_tuple(self) -> None:
        examples: list[Any] = [PICTURES[0], PICTURES.half(), (1, 3, 8, 8), (3, 8, 8), PICTURES.shape, (PICTURES,), PICTURES.repeat(7, 1, 1, 1)]
        for example in examples:
            gradscope.export(Tiny(), example, self.path)
            self.assertEqual(self.written()(PICTURES).shape, (1, 4))

    def test_wrappers_are_removed(self) -> None:
        for wrapped in (nn.DataParallel(Tiny()), torch.compile(Tiny())):
            gradscope.export(wrapped, PICTURES, self.path)  # type: ignore[arg-type]
            self.assertIn("stem.0.weight", self.written().state_dict())

    def test_the_card_has_the_given_values(self) -> None:
        values: Any = {"mean": torch.tensor([0.485, 0.456, 0.406]), "std": 0.25, "crop": 0.875, "interpolation": "bicubic"}
        gradscope.export(Tiny(), PICTURES, self.path, labels=["a", "b", "c", "ü"], size=(16, 8), **values)
        expected = {"size": [16, 8], "crop": 0.875, "interpolation": "bicubic", "mean": [0.485, 0.456, 0.406], "std": [0.25]}
        self.assertEqual(self.card(), {**expected, "labels": ["a", "b", "c", "ü"]})
        self.written()(torch.rand(2, 3, 16, 8))

    def test_labels_may_be_the_dicts_of_data_sets(self) -> None:
        for labels in ({"cat": 1, "ant": 0, "dog": 2, "emu": 3}, {0: "ant", 1: "cat", 2: "dog", 3: "emu"}, ("ant", "cat", "dog", "emu")):
            gradscope.export(Tiny(), PICTURES, self.path, labels=labels)
            self.assertEqual(self.card(), {"labels": ["ant", "cat", "dog", "emu"]})

    def test_values_recorded_in_a_network_are_written(self) -> None:
        model: Any = Tiny()
        model.pretrained_cfg = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5), "crop_pct": 0.9, "interpolation": "bicubic"}
        model.config = SimpleNamespace(id2label={0: "a", 1: "b", 2: "c", 3: "d"})
        gradscope.export(model, PICTURES, self.path, mean=0.1, std=0.2)
        self.assertEqual(self.card(), {"crop": 0.9, "interpolation": "bicubic", "mean": [0.1], "std": [0.2], "labels": list("abcd")})

    def test_class_scores_are_found_in_the_return_value(self) -> None:
        for wrap, output in [
            (lambda y: SimpleNamespace(logits=y), None),
            (lambda y: {"features": y * 2, "logits": y}, None),
            (lambda y: OrderedDict(out=y, aux=y * 2), None),
            (lambda y: (y,), None),
            (lambda y: [y * 2, y], 1),
            (lambda y: {"a": y * 2, "b": y}, "b"),
            (lambda y: SimpleNamespace(scores=y), "scores"),
        ]:
            model = Returning(wrap)
            gradscope.export(model, PICTURES, self.path, output=output)
            expected = Tiny.forward(model.eval(), PICTURES)
            torch.testing.assert_close(self.written()(PICTURES), expected)

    def test_a_network_for_one_picture_is_exported_with_a_warning(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            gradscope.export(OnePicture(), PICTURES, self.path)
        self.assertTrue(any("one picture" in str(w.message) and w.filename == __file__ for w in caught), caught)
        self.assertEqual(self.written()(PICTURES).shape, (1, 4))

    def test_torchscript_programs_are_exported(self) -> None:
        model = Tiny().eval()
        jit: Any = torch.jit
        for program in (jit.script(model), jit.trace(model, PICTURES)):
            gradscope.export(program, PICTURES, self.path)
            torch.testing.assert_close(self.written()(PICTURES), model(PICTURES))

    def test_errors_say_what_would_work_and_nothing_is_written(self) -> None:
        two: Any = lambda y: (y, y * 2)
        self.assert_refuses(["takes the inputs x, mask", "def forward(self, picture)"], TwoInputs())
        self.assert_refuses(["the example is 2 inputs", "OfPicture"], Tiny(), (PICTURES, PICTURES))
        self.assert_refuses(["returns a tuple (0: (2, 4), 1: (2, 4))", "output=0"], Returning(two))
        self.assert_refuses(["output='x' is not a tensor"], Returning(two), output="x")
        self.assert_refuses(["returns a single tensor"], Tiny(), output=0)
        self.assert_refuses(["fails on a picture of shape (1, 1, 8, 8)"], Tiny(), torch.rand(1, 1, 8, 8))
        self.assert_refuses(["has the shape (8,)"], Tiny(), torch.rand(8))
        self.assert_refuses(["PyTorch cannot export this network", "dynamo=False"], Deciding())
        self.assert_refuses(["3 class names", "4 scores"], Tiny(), labels=["a", "b", "c"])
        self.assert_refuses(["indices [0, 2]; expected 0 to 1"], Tiny(), labels={0: "a", 2: "b"})
        self.assert_refuses(["expected a list of class names"], Tiny(), labels="cat")
        self.assert_refuses(["both"], Tiny(), mean=0.5)
        self.assert_refuses(["divide it by 255"], Tiny(), mean=[123.7, 116.3, 103.5], std=1)
        self.assert_refuses(["2 values for 3 channels"], Tiny(), mean=[0.1, 0.2], std=1)
        self.assert_refuses(["must be positive"], Tiny(), mean=0, std=0)
        with self.assertRaisesRegex(gradscope.ExportError, "must end with"):
            gradscope.export(Tiny(), PICTURES, self.path.with_suffix(".pth"))
        with self.assertRaisesRegex(gradscope.ExportError, "there is no folder"):
            gradscope.export(Tiny(), PICTURES, self.path.parent / "absent" / "net.pt2")

    def test_an_existing_file_survives_a_failure(self) -> None:
        gradscope.export(Tiny(), PICTURES, self.path)
        before = self.path.read_bytes()
        with self.assertRaises(gradscope.ExportError):
            gradscope.export(Deciding(), PICTURES, self.path)
        self.assertEqual(self.path.read_bytes(), before)

    def test_copies_of_a_network_export_the_same_card(self) -> None:
        model = Tiny()
        gradscope.export(copy.deepcopy(model), PICTURES, self.path, labels="a b c d".split())
        self.assertEqual(self.card(), {"labels": ["a", "b", "c", "d"]})


if __name__ == "__main__":
    unittest.main()
