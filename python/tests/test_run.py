"""Tests the arguments that `run` passes to the program, and its results. Tests that need the program are skipped without it."""

from __future__ import annotations

import io
import os
import stat
import sys
import tempfile
import unittest
from contextlib import redirect_stderr
from pathlib import Path
from unittest import mock

import numpy as np
import torch

import gradscope
from gradscope import _picture, _program, _run
from tests.networks import Fixed, Tiny, TwoInputs

PICTURE = torch.rand(3, 8, 8)


def has_program() -> bool:
    try:
        return bool(_program.program())
    except gradscope.ProgramError:
        return False


class Pictures(unittest.TestCase):
    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_arrays_and_tensors_become_the_same_file(self) -> None:
        values = PICTURE.numpy()
        for picture in (PICTURE, PICTURE[None], values, values[None], values.transpose(1, 2, 0), PICTURE.double(), PICTURE.clone().requires_grad_()):
            stored = np.load(_picture.stored(picture, self.folder))
            self.assertEqual((stored.shape, stored.dtype), ((1, 3, 8, 8), np.float32))
            np.testing.assert_array_equal(stored[0], values)
        for picture in (torch.full((3, 8, 8), 7), np.full((8, 8), 7, np.int64), torch.full((1, 8, 8), 7, dtype=torch.uint8)):
            stored = np.load(_picture.stored(picture, self.folder))
            self.assertEqual((stored.dtype, stored.max(), stored.ndim), (np.uint8, 7, 4))

    def test_paths_are_passed_on(self) -> None:
        self.assertEqual(_picture.stored(Path("a b.png"), self.folder), "a b.png")

    def test_pil_images_are_written_as_png(self) -> None:
        try:
            from PIL import Image
        except ImportError:
            self.skipTest("Pillow is missing")
        for mode in ("RGB", "RGBA", "L", "P"):
            path = _picture.stored(Image.new(mode, (5, 4)), self.folder)
            self.assertEqual(Image.open(path).size, (5, 4))

    def test_other_values_are_errors_that_suggest_valid_ones(self) -> None:
        for picture, part in [
            (torch.randn(3, 8, 8) * 3, "before normalization"),
            (torch.full((3, 8, 8), float("nan")), "before normalization"),
            (torch.rand(2, 3, 8, 8), "one by one"),
            (torch.rand(7), "expected (C, H, W)"),
            (torch.full((3, 8, 8), 300), "expected 0 to 255"),
            (5, "expected a path"),
        ]:
            with self.assertRaises(gradscope.GradscopeError) as caught:
                _picture.stored(picture, self.folder)
            self.assertIn(part, str(caught.exception))


class Programs(unittest.TestCase):
    """Tests with a script in place of the program."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def stand_in(self, text: str) -> None:
        path = self.folder / "gradscope"
        path.write_text(f"#!{sys.executable}\nimport json, sys, pathlib\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        patch = mock.patch.dict(os.environ, {"GRADSCOPE": str(path)})
        patch.start()
        self.addCleanup(patch.stop)

    def test_a_missing_program_is_an_error_that_says_how_to_install_it(self) -> None:
        for environment in ({"PATH": str(self.folder)}, {"GRADSCOPE": str(self.folder / "absent")}):
            with mock.patch.dict(os.environ, environment), self.assertRaisesRegex(gradscope.ProgramError, "cargo install --path"):
                if "GRADSCOPE" not in environment:
                    os.environ.pop("GRADSCOPE", None)
                gradscope.run("gradcam", "net.pt2")

    def test_the_error_has_the_message_of_the_program_and_notes_are_printed(self) -> None:
        self.stand_in('sys.stderr.write("a note\\nerror: no such thing\\nimport torch\\n"); sys.exit(2)')
        told = io.StringIO()
        with redirect_stderr(told), self.assertRaises(gradscope.ProgramError) as caught:
            gradscope.run("gradcam", "net.pt2")
        self.assertEqual((str(caught.exception), told.getvalue()), ("no such thing\nimport torch", "gradscope: a note\n"))

    def test_arguments_reach_the_program_as_they_are(self) -> None:
        self.stand_in(
            "out = pathlib.Path(sys.argv[-1]); out.mkdir(exist_ok=True)\n"
            "labels = [json.load(open(sys.argv[i + 1])) for i, a in enumerate(sys.argv) if a == '--labels']\n"
            "document = {'method': 'm', 'model': 'n', 'target': None, 'parameters': {}, 'figures': [], 'argv': sys.argv[1:], 'labels': labels}\n"
            "(out / 'result.json').write_text(json.dumps(document))"
        )
        kept = self.folder / "kept"
        result = gradscope.run(
            "gradcam", "net.pt2", "my cat.png", target=-1, mean=[0.5, 0.25, 0.1], std=1, labels=["a", "b"], seed=3, data="d", weights="w.pth",
            out=kept, options=["--exact"], layer="l", relu=False, count=None, sigma=0.5, sizes=[1, 2],
        )
        argv = result.document["argv"]
        self.assertEqual(argv[:4], ["run", "gradcam", "--seed", "3"])
        for pair in (["-m", "net.pt2"], ["-w", "w.pth"], ["-i", "my cat.png"], ["--data", "d"], ["--out", str(kept)]):
            self.assertIn(pair[1], argv[argv.index(pair[0]) + 1])
        for one in ("--target=-1", "--mean=0.5,0.25,0.1", "--std=1", "layer=l", "relu=false", "sigma=0.5", "sizes=1,2", "--exact"):
            self.assertIn(one, argv)
        self.assertFalse(any("count" in a for a in argv))
        self.assertEqual((result.document["labels"], result.folder, result.target), ([["a", "b"]], kept, None))
        self.assertIn("result.json", os.listdir(kept))

    def test_a_module_is_passed_by_its_name(self) -> None:
        model = Tiny()
        self.assertEqual(_run._text("layer", model.stem[1], model), "stem.1")
        with self.assertRaisesRegex(gradscope.GradscopeError, "not part of the network"):
            _run._text("layer", Tiny().stem, model)


@unittest.skipUnless(has_program(), "the gradscope program is missing; set GRADSCOPE to its path")
class Runs(unittest.TestCase):
    def test_results_agree_with_pytorch(self) -> None:
        torch.manual_seed(0)
        model = Tiny()
        model(torch.rand(9, 3, 8, 8))
        mean, std = torch.tensor([0.4, 0.5, 0.6]).view(3, 1, 1), 0.25
        result = gradscope.run("saliency", model, PICTURE, target="c", labels=list("abcd"), mean=mean, std=std)
        pixels = PICTURE[None].clone().requires_grad_()
        logits = model.eval()((pixels - mean) / std)
        logits[0, 2].backward()
        np.testing.assert_allclose(result.logits, logits.detach(), atol=1e-5)
        assert pixels.grad is not None
        np.testing.assert_allclose(result.gradient, pixels.grad, atol=1e-6)
        self.assertEqual((result.target, result.label, result.map.shape), (2, "c", (8, 8)))
        self.assertEqual(len(result.top5), 4)

    def test_grad_cam_at_a_module(self) -> None:
        torch.manual_seed(0)
        model = Tiny()
        result = gradscope.run("gradcam", model, PICTURE, target=1, layer=model.stem[2], mean=0, std=1)
        maps = model.eval().stem(PICTURE[None])
        weights = model.head.weight[1] / maps[0, 0].numel()
        expected = (weights[:, None, None] * maps[0]).sum(0).detach()
        np.testing.assert_allclose(result.cam_raw[0, 0], expected, atol=1e-6)
        self.assertEqual((result.layer, result.card["sources"]["mean"]), ("stem.2", "Tiny.card.json: mean"))
        self.assertEqual(result.png[:4], b"\x89PNG")
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(result.save(Path(folder) / "a.png").read_bytes(), result._repr_png_())
        self.assertIn("target '1' (1), layer 'stem.2'", repr(result))

    def test_errors_of_the_program_are_exceptions(self) -> None:
        with self.assertRaisesRegex(gradscope.ProgramError, 'did you mean "gradcam"'):
            gradscope.run("gradcamm", Tiny(), PICTURE)
        with self.assertRaisesRegex(gradscope.ExportError, "takes the inputs x, mask"):
            gradscope.run("gradcam", TwoInputs(), PICTURE)

    def test_the_input_size_is_determined_and_reported(self) -> None:
        told = io.StringIO()
        with redirect_stderr(told):
            result = gradscope.run("gradcam", Fixed(28, channels=1))
            self.assertEqual(gradscope.run("gradcam", Fixed(20), example=(3, 20, 20)).map.shape, (20, 20))
        self.assertEqual(result.map.shape, (28, 28))
        self.assertEqual(told.getvalue().count("no example given: the network gets pictures of shape (1, 1, 28, 28)"), 1)
        self.assertIn("set others with mean= and std=", told.getvalue())


if __name__ == "__main__":
    unittest.main()
