"""Grad-CAM of SqueezeNet 1.0 from a cold start to a file, as a script with PyTorch and pytorch-grad-cam.

    python3 benches/gradcam_peer.py WEIGHTS PICTURE CLASS OUT
"""

import sys

import numpy
import torch
import torchvision
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from safetensors.torch import load_file
from torchvision.transforms import functional as T

weights, picture, target, out = sys.argv[1:]
model = torchvision.models.squeezenet1_0(weights=None).eval().requires_grad_(False)
model.load_state_dict(load_file(weights))
shown = T.center_crop(T.resize(Image.open(picture).convert("RGB"), 256), 224)
x = T.normalize(T.to_tensor(shown), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])[None].requires_grad_()
cam = GradCAM(model=model, target_layers=[model.features[12]])
map = cam(input_tensor=x, targets=[ClassifierOutputTarget(int(target))])[0]
Image.fromarray(show_cam_on_image(numpy.float32(shown) / 255, map, use_rgb=True)).save(out)
