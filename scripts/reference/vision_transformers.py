"""Writes tests/fixtures/vision_transformers.json: the libraries' results for the networks in models/transformer.

Weights and pictures come from the formula in zoo.py, so no weight files are needed; results are in float64. `networks` has, for
every name in the scripts, the number of parameters and a hash of their names and shapes, and for some also the output and the
input gradient. `small` has networks of the same structure with other sizes, which can only be inferred from the weights' shapes.

python3 scripts/reference/vision_transformers.py                   writes the fixture
python3 scripts/reference/vision_transformers.py NAME...           only these networks; `small` for the ones with other sizes
python3 scripts/reference/vision_transformers.py --list NAME       prints name and shape of one network's parameters
python3 scripts/reference/vision_transformers.py --files FOLDER    writes the weights of all networks with results, along with
                                                                   pixels in [0, 1], logits, class and input gradient

PyTorch 2.15, torchvision 0.29, timm 1.0.31, transformers 5.24
"""
import hashlib
import json
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import timm
import torch
import torchvision
import transformers as hf
from safetensors.torch import load_file, save_file

from zoo import IMAGENET, Normalized, numbers, uniform, value

FIXTURE = Path(__file__).parents[2] / "tests/fixtures/vision_transformers.json"
HALF = ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5])
CLIP = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711])

# Tensors saved by the libraries that can be derived from the network's sizes.
DERIVED = ("num_batches_tracked", "relative_position_index", "relative_coords_table")


class Scores(torch.nn.Module):
    """A Hugging Face network, with the field of its output that holds the scores."""

    def __init__(self, network, field):
        super().__init__()
        self.network, self.field = network, field

    def forward(self, x):
        return getattr(self.network(pixel_values=x), self.field)


def saved(network):
    """The names used by `save_pretrained`, which differ from those of `state_dict()` since version 5."""
    with tempfile.TemporaryDirectory() as folder:
        network.save_pretrained(folder)
        return load_file(f"{folder}/model.safetensors")


class Case:
    """A network: its constructor, normalization and picture size, and how to obtain Hugging Face's names and scores."""

    def __init__(self, make, norm, size, field=None, old_names=True, channels=3, unused=(), run=False):
        self.make, self.norm, self.size, self.field, self.old_names = make, norm, size, field, old_names
        self.channels, self.unused, self.run = channels, unused, run

    def network(self):
        return self.make().eval()

    def names(self, network):
        """Our name of each parameter, the name in the state dict, and the shape, sorted."""
        state = network.state_dict()
        kept = {n: t for n, t in state.items() if not n.endswith(DERIVED) and not n.startswith(self.unused or ("?",))}
        if self.field is None or not self.old_names:
            return sorted((n, n, list(t.shape)) for n, t in kept.items())
        # The values show which saved name corresponds to which name in the state dict.
        with torch.no_grad():
            for i, tensor in enumerate(state.values()):
                tensor.fill_(float(i))
        files = {float(t.flatten()[0]): n for n, t in saved(network).items()}
        return sorted((files[float(i)], n, list(t.shape)) for i, (n, t) in enumerate(state.items()) if n in kept)


def torchvisions():
    tv = torchvision.models
    cases = {}
    for name in ("vit_b_16", "vit_b_32", "vit_l_16", "vit_l_32", "vit_h_14", "swin_t", "swin_s", "swin_b", "maxvit_t"):
        cases[name] = Case(getattr(tv, name), IMAGENET, 224, run=name in ("vit_b_32", "swin_t", "maxvit_t"))
    for name in ("swin_v2_t", "swin_v2_s", "swin_v2_b"):
        cases[name] = Case(getattr(tv, name), IMAGENET, 256, run=name == "swin_v2_t")
    return cases


class Shallow(timm.models.VisionTransformer):
    """The ViT of models/transformer/vit_mnist.rhai, which classifies the first patch."""

    def __init__(self):
        super().__init__(
            28, 7, 1, 10, "avg", 32, 3, 4, qkv_bias=False, class_token=False, fc_norm=False, act_layer=torch.nn.ReLU,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-5),
        )

    def pool(self, x, pool_type=None):
        return x[:, 0]


class Compact(torch.nn.Module):
    """The compact convolutional transformer of models/transformer/cct.rhai."""

    def __init__(self):
        super().__init__()
        layer = partial(torch.nn.TransformerEncoderLayer, 128, 4, 256, 0.0, "gelu", batch_first=True, norm_first=True)
        self.conv = torch.nn.Conv2d(3, 128, 3, padding=1, bias=False)
        self.pos = torch.nn.Parameter(torch.zeros(1, 256, 128))
        self.blocks = torch.nn.ModuleList(layer() for _ in range(4))
        self.norm, self.pool, self.fc = torch.nn.LayerNorm(128), torch.nn.Linear(128, 1), torch.nn.Linear(128, 10)

    def forward(self, x):
        x = torch.nn.functional.max_pool2d(self.conv(x).relu(), 3, 2, 1).flatten(2).transpose(1, 2) + self.pos
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return self.fc((self.pool(x).softmax(1) * x).sum(1))


def own():
    cifar = ([0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616])
    return {
        "cct_cifar10": Case(Compact, cifar, 32, run=True),
        "vit_mnist": Case(Shallow, ([0.5], [0.5]), 28, channels=1, run=True),
    }


TIMM = {
    "vit_tiny_patch16_224 vit_small_patch32_224 vit_small_patch16_224 vit_base_patch32_224 vit_base_patch16_224 "
    "vit_large_patch32_224 vit_large_patch16_224 vit_large_patch14_224 vit_huge_patch14_224": (HALF, 224),
    "deit_tiny_patch16_224 deit_small_patch16_224 deit_base_patch16_224 deit_tiny_distilled_patch16_224 "
    "deit_small_distilled_patch16_224 deit_base_distilled_patch16_224 deit3_small_patch16_224 deit3_base_patch16_224 "
    "deit3_large_patch16_224 deit3_huge_patch14_224": (IMAGENET, 224),
    "vit_small_patch14_dinov2 vit_base_patch14_dinov2 vit_large_patch14_dinov2 vit_giant_patch14_dinov2 "
    "vit_small_patch14_reg4_dinov2 vit_base_patch14_reg4_dinov2 vit_large_patch14_reg4_dinov2 "
    "vit_giant_patch14_reg4_dinov2": (IMAGENET, 518),
    "vit_base_patch32_clip_224 vit_base_patch16_clip_224 vit_large_patch14_clip_224 vit_base_patch32_clip_quickgelu_224 "
    "vit_base_patch16_clip_quickgelu_224 vit_large_patch14_clip_quickgelu_224": (CLIP, 224),
    "eva02_tiny_patch14_224 eva02_small_patch14_224 eva02_base_patch14_224 eva02_large_patch14_224": (CLIP, 224),
    "eva02_tiny_patch14_336 eva02_small_patch14_336": (CLIP, 336),
    "eva02_base_patch14_448 eva02_large_patch14_448": (CLIP, 448),
    "beit_base_patch16_224 beit_large_patch16_224 beitv2_base_patch16_224 beitv2_large_patch16_224": (HALF, 224),
    "beit_base_patch16_384 beit_large_patch16_384": (HALF, 384),
    "swin_tiny_patch4_window7_224 swin_small_patch4_window7_224 swin_base_patch4_window7_224 "
    "swin_large_patch4_window7_224": (IMAGENET, 224),
    "swin_base_patch4_window12_384 swin_large_patch4_window12_384": (IMAGENET, 384),
    "maxvit_tiny_tf_224 maxvit_small_tf_224 maxvit_base_tf_224 maxvit_large_tf_224": (IMAGENET, 224),
    "maxvit_xlarge_tf_224": (HALF, 224),
    "maxvit_tiny_tf_384 maxvit_small_tf_384 maxvit_base_tf_384 maxvit_large_tf_384 maxvit_xlarge_tf_384": (HALF, 384),
    "maxvit_tiny_tf_512 maxvit_small_tf_512 maxvit_base_tf_512 maxvit_large_tf_512 maxvit_xlarge_tf_512": (HALF, 512),
}
TIMM_RUN = (
    "vit_tiny_patch16_224 deit_tiny_distilled_patch16_224 deit3_small_patch16_224 vit_base_patch32_clip_quickgelu_224 "
    "eva02_tiny_patch14_224 beit_base_patch16_224 swin_tiny_patch4_window7_224 vit_small_patch14_reg4_dinov2 "
    "maxvit_tiny_tf_224"
).split()


def timms():
    cases = {}
    for names, (norm, size) in TIMM.items():
        for name in names.split():
            features = "dinov2" in name or name.startswith("eva02") and size == 224
            classes = {"num_classes": 0 if features else 1000}
            cases[name] = Case(partial(timm.create_model, name, **classes), norm, size, run=name in TIMM_RUN)
    return cases


SIZES = {
    "tiny": dict(hidden_size=192, num_hidden_layers=12, num_attention_heads=3, intermediate_size=768),
    "small": dict(hidden_size=384, num_hidden_layers=12, num_attention_heads=6, intermediate_size=1536),
    "base": dict(hidden_size=768, num_hidden_layers=12, num_attention_heads=12, intermediate_size=3072),
    "large": dict(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096),
}
SWIN = {
    "tiny": dict(embed_dim=96, depths=[2, 2, 6, 2], num_heads=[3, 6, 12, 24]),
    "small": dict(embed_dim=96, depths=[2, 2, 18, 2], num_heads=[3, 6, 12, 24]),
    "base": dict(embed_dim=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32]),
    "large": dict(embed_dim=192, depths=[2, 2, 18, 2], num_heads=[6, 12, 24, 48]),
}


def hugging_faces():
    cases = {}

    def add(name, make, norm, size, field, **more):
        cases[name] = Case(make, norm, size, field, **more)

    def made(network, config, **options):
        return lambda: network(config(**options))

    for size, patch in (("tiny", 16), ("small", 16), ("base", 16), ("base", 32), ("large", 16)):
        make = made(hf.ViTForImageClassification, hf.ViTConfig, num_labels=1000, patch_size=patch, **SIZES[size])
        add(f"vit-{size}-patch{patch}-224", make, HALF, 224, "logits", run=size == "tiny")
    for size in ("tiny", "small", "base"):
        make = made(hf.DeiTForImageClassificationWithTeacher, hf.DeiTConfig, num_labels=1000, **SIZES[size])
        add(f"deit-{size}-distilled-patch16-224", make, IMAGENET, 224, "logits", run=size == "tiny")
    for size in ("small", "base", "large"):
        options = {k: v for k, v in SIZES[size].items() if k != "intermediate_size"} | dict(image_size=518, patch_size=14)
        unused = ("embeddings.mask_token",)
        add(f"dinov2-{size}", made(hf.Dinov2Model, hf.Dinov2Config, **options), IMAGENET, 518, "pooler_output", unused=unused)
        make = made(hf.Dinov2WithRegistersModel, hf.Dinov2WithRegistersConfig, **options)
        add(f"dinov2-with-registers-{size}", make, IMAGENET, 518, "pooler_output", unused=unused)
    for size in SWIN:
        for window in (7, 12) if size in ("base", "large") else (7,):
            options = SWIN[size] | dict(window_size=window, image_size=32 * window)
            make = made(hf.SwinForImageClassification, hf.SwinConfig, num_labels=1000, **options)
            add(f"swin-{size}-patch4-window{window}-{32 * window}", make, IMAGENET, 32 * window, "logits", run=size == "tiny")
    for size, patch in (("base", 32), ("base", 16), ("large", 14)):
        options = SIZES[size] | dict(patch_size=patch, projection_dim=768 if size == "large" else 512)
        make = made(hf.CLIPVisionModelWithProjection, hf.CLIPVisionConfig, **options)
        add(f"clip-vit-{size}-patch{patch}", make, CLIP, 224, "image_embeds", run=(size, patch) == ("base", 32))
    return cases


# The network that a size-independent name refers to if there is no weight file.
ANY = {
    "torchvision_vit": "vit_b_16", "torchvision_swin": "swin_t", "torchvision_swin_v2": "swin_v2_t", "torchvision_maxvit": "maxvit_t",
    "timm_vit": "vit_small_patch16_224", "timm_deit": "deit_small_distilled_patch16_224", "timm_dinov2": "vit_small_patch14_dinov2",
    "timm_clip": "vit_base_patch32_clip_224", "timm_eva02": "eva02_tiny_patch14_224", "timm_beit": "beit_base_patch16_224",
    "timm_swin": "swin_tiny_patch4_window7_224", "timm_maxvit": "maxvit_tiny_tf_224", "hf_vit": "vit-base-patch16-224", "hf_deit": "deit-base-distilled-patch16-224",
    "hf_dinov2": "dinov2-base", "hf_dinov2_with_registers": "dinov2-with-registers-base", "hf_clip": "clip-vit-base-patch32",
    "hf_swin": "swin-tiny-patch4-window7-224",
}


def smalls():
    """Networks of other sizes, keyed by the name that reads sizes from the weights."""
    tv, cases = torchvision.models, {}

    def add(label, family, make, norm, size, field=None, **more):
        cases[label] = (family, Case(make, norm, size, field, run=True, **more))

    wide = dict(image_size=32, patch_size=8, num_layers=2, num_heads=3, hidden_dim=48, mlp_dim=96, num_classes=7)
    add("vit", "torchvision_vit", partial(tv.VisionTransformer, **wide), IMAGENET, 32)
    from torchvision.models import swin_transformer as swin

    shape = dict(patch_size=[4, 4], embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=[4, 4], num_classes=7)
    add("swin", "torchvision_swin", partial(tv.SwinTransformer, **shape), IMAGENET, 32)
    second = dict(block=swin.SwinTransformerBlockV2, downsample_layer=swin.PatchMergingV2)
    add("swin v2", "torchvision_swin_v2", partial(tv.SwinTransformer, **shape, **second), IMAGENET, 32)
    shape = dict(
        input_size=(32, 32), stem_channels=8, partition_size=4, block_channels=[16, 32], block_layers=[1, 2], head_dim=8,
        stochastic_depth_prob=0.0, num_classes=7,
    )
    add("maxvit", "torchvision_maxvit", partial(tv.MaxVit, **shape), IMAGENET, 32)

    def timm_made(name, **options):
        options = dict(depth=2, num_classes=7) | options
        return partial(timm.create_model, name, **options)

    plain = dict(img_size=32, patch_size=8, embed_dim=48, num_heads=3)
    small = dict(img_size=28, patch_size=7, embed_dim=64, num_heads=2)
    add("timm vit", "timm_vit", timm_made("vit_tiny_patch16_224", **plain), HALF, 32)
    gray = timm_made("vit_tiny_patch16_224", in_chans=1, **plain)
    add("timm vit of one channel", "timm_vit", gray, ([0.5], [0.5]), 32, channels=1)
    features = timm_made("vit_tiny_patch16_224", global_pool="avg", num_classes=0, **small)
    add("timm vit with mean", "timm_vit", features, HALF, 28)
    add("timm deit", "timm_deit", timm_made("deit_tiny_distilled_patch16_224", **plain), IMAGENET, 32)
    add("timm deit3", "timm_dinov2", timm_made("deit3_small_patch16_224", **plain), IMAGENET, 32)
    add("timm dinov2", "timm_dinov2", timm_made("vit_small_patch14_dinov2", **small), IMAGENET, 28)
    add("timm dinov2 with registers", "timm_dinov2", timm_made("vit_small_patch14_reg4_dinov2", **small), IMAGENET, 28)
    add("timm dinov2 with a gate", "timm_dinov2", timm_made("vit_giant_patch14_reg4_dinov2", mlp_ratio=4, **small), IMAGENET, 28)
    add("timm clip", "timm_clip", timm_made("vit_base_patch16_clip_224", **plain), CLIP, 32)
    add("timm eva02", "timm_eva02", timm_made("eva02_tiny_patch14_224", **plain), CLIP, 32)
    add("timm eva02 apart", "timm_eva02", timm_made("eva02_base_patch14_224", **small), CLIP, 28)
    add("timm beit", "timm_beit", timm_made("beit_base_patch16_224", **plain), HALF, 32)
    shape = dict(img_size=32, patch_size=4, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4, num_classes=7)
    add("timm swin", "timm_swin", partial(timm.create_model, "swin_tiny_patch4_window7_224", **shape), IMAGENET, 32)

    shape = dict(
        img_size=32, embed_dim=(16, 32), depths=(1, 2), block_type=("M", "M"), stem_width=8, head_hidden_size=24,
        transformer_dim_head=8, transformer_partition_ratio=8,
    )
    for label, classes in (("timm maxvit", 7), ("timm maxvit without classes", 0)):
        add(label, "timm_maxvit", partial(timm.create_model, "maxvit_tiny_tf_224", num_classes=classes, **shape), HALF, 32)

    def made(network, config, **options):
        return lambda: network(config(**options))

    one = dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=3, intermediate_size=96, image_size=32, patch_size=8)
    labels = dict(num_labels=7)
    both = lambda label, *case: (add(label, *case), add(f"{label}, new names", *case, old_names=False))
    both("hf vit", "hf_vit", made(hf.ViTForImageClassification, hf.ViTConfig, **one, **labels), HALF, 32, "logits")
    both("hf deit", "hf_deit", made(hf.DeiTForImageClassification, hf.DeiTConfig, **one, **labels), IMAGENET, 32, "logits")
    taught = made(hf.DeiTForImageClassificationWithTeacher, hf.DeiTConfig, **one, **labels)
    both("hf deit with teacher", "hf_deit", taught, IMAGENET, 32, "logits")
    both("hf dinov2", "hf_dinov2", made(hf.Dinov2ForImageClassification, hf.Dinov2Config, **one, **labels), IMAGENET, 32, "logits")
    gated = one | dict(use_swiglu_ffn=True)
    add("hf dinov2 alone", "hf_dinov2", made(hf.Dinov2Model, hf.Dinov2Config, **gated), IMAGENET, 32, "pooler_output", old_names=False)
    registers = made(hf.Dinov2WithRegistersForImageClassification, hf.Dinov2WithRegistersConfig, **one, **labels)
    both("hf dinov2 with registers", "hf_dinov2_with_registers", registers, IMAGENET, 32, "logits")
    shape = dict(image_size=32, patch_size=4, embed_dim=16, depths=[2, 2], num_heads=[2, 4], window_size=4)
    both("hf swin", "hf_swin", made(hf.SwinForImageClassification, hf.SwinConfig, **shape, **labels), IMAGENET, 32, "logits")
    projected = made(hf.CLIPVisionModelWithProjection, hf.CLIPVisionConfig, projection_dim=7, **one)
    add("hf clip", "hf_clip", projected, CLIP, 32, "image_embeds")
    add("hf clip alone", "hf_clip", made(hf.CLIPVisionModel, hf.CLIPVisionConfig, **one), CLIP, 32, "pooler_output")
    scored = made(hf.CLIPForImageClassification, hf.CLIPConfig, vision_config=one, **labels)
    add("hf clip with classes", "hf_clip", scored, CLIP, 32, "logits")
    return cases


def parameters(case, network):
    lines = "".join(f"{ours} {'x'.join(map(str, shape))}\n" for ours, _, shape in case.names(network))
    return lines


def drawn(case):
    """The network with weights from the formula, and these weights under our names."""
    network = case.network()
    names = case.names(network)
    weights = {ours: value(ours, shape) for ours, _, shape in names}
    network.load_state_dict({theirs: weights[ours] for ours, theirs, _ in names}, strict=False)
    if case.field:
        network = Scores(network, case.field)
    return Normalized(network, *case.norm).double().eval(), weights


def computed(case):
    network, weights = drawn(case)
    size = [case.channels, case.size, case.size]
    x = torch.from_numpy(uniform("picture", int(np.prod(size))) * 0.5 + 0.5).reshape(1, *size).requires_grad_()
    y = network(x)
    (gradient,) = torch.autograd.grad((y * torch.from_numpy(uniform("seed", y.numel())).reshape(y.shape)).sum(), x)
    return {"input": size, "output": numbers(y), "gradient": numbers(gradient)}


def described(case):
    """Number of tensors and elements, and a hash of the sorted names and shapes."""
    with torch.device("cpu" if case.field else "meta"):
        lines = parameters(case, case.network())
    sizes = [[int(n) for n in line.split()[1].split("x")] for line in lines.splitlines()]
    return {
        "tensors": len(sizes),
        "parameters": sum(int(np.prod(size)) for size in sizes),
        "parameters_sha256": hashlib.sha256(lines.encode()).hexdigest(),
    }


def files(folder, cases):
    """Writes NAME.weights.safetensors and NAME.ref.safetensors for each network."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, case in cases.items():
        network, weights = drawn(case)
        size = [case.channels, case.size, case.size]
        x = torch.from_numpy(uniform("picture", int(np.prod(size))) * 0.5 + 0.5).float().double().reshape(1, *size).requires_grad_()
        y = network(x)
        best = y[0].argmax()
        (gradient,) = torch.autograd.grad(y[0, best], x)
        found = {"pixels": x.detach(), "logits": y.detach(), "gradient": gradient, "class": best.reshape(1)}
        save_file({n: t.float().contiguous() for n, t in weights.items()}, folder / f"{name}.weights.safetensors")
        save_file({n: t.float().contiguous() for n, t in found.items()}, folder / f"{name}.ref.safetensors")


def small(family, case):
    """The results of a small network, and its parameters, from which the weight file is made."""
    network = case.network()
    tensors = {ours: shape for ours, _, shape in case.names(network)}
    if not case.field:
        tensors |= {name: list(t.shape) for name, t in network.state_dict().items() if name.endswith(DERIVED[1:])}
    return {"family": family, "tensors": tensors} | computed(case)


def main():
    cases = own() | torchvisions() | timms() | hugging_faces()
    for name, same in ANY.items():
        cases[name] = Case(**vars(cases[same]) | {"run": False})
    if sys.argv[1:2] == ["--list"]:
        case = cases[sys.argv[2]]
        with torch.device("cpu" if case.field else "meta"):
            print(parameters(case, case.network()), end="")
        return
    torch.manual_seed(0)
    if sys.argv[1:2] == ["--files"]:
        others = {label.replace(" ", "_").replace(",", ""): case for label, (_, case) in smalls().items()}
        torch.set_default_dtype(torch.float64)
        files(Path(sys.argv[2]), {name: case for name, case in cases.items() if case.run} | others)
        return
    versions = {m.__name__: m.__version__ for m in (torch, torchvision, timm, hf)}
    fixture = json.loads(FIXTURE.read_text()) if FIXTURE.exists() else {"networks": {}}
    fixture["versions"] = versions
    for name in [name for name in sys.argv[1:] if name != "small"] or ([] if sys.argv[1:] else cases):
        fixture["networks"][name] = described(cases[name])
        if cases[name].run:
            torch.set_default_dtype(torch.float64)
            fixture["networks"][name] |= computed(cases[name])
            torch.set_default_dtype(torch.float32)
            if name.startswith(("swin_v2", "eva02")):  # These compute position tables in float32 regardless of the dtype.
                fixture["networks"][name]["tolerance"] = 1e-6
        print(name, fixture["networks"][name].get("output", {}).get("norm"), file=sys.stderr)
    if sys.argv[1:] in ([], ["small"]):
        torch.set_default_dtype(torch.float64)
        fixture["small"] = {label: small(*case) for label, case in smalls().items()}
    FIXTURE.write_text(json.dumps(fixture, indent=1) + "\n")


if __name__ == "__main__":
    main()
