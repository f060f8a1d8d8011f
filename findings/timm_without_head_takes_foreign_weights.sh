#!/usr/bin/env bash
# timm: a model without its head, or with another one, takes a file that holds none of its weights.
#
# timm.create_model(NAME, pretrained=True, pretrained_cfg_overlay={"file": PATH}) reads weights of one's own. With the
# number of classes that the weights are for, it refuses a file of another network's weights. With num_classes=0, as
# everybody asks for who wants features, and with any other number, it takes the same file and returns a network whose
# weights are all random; a line of logging is the only sign. unconfound compares two such networks from different seeds
# and refuses what differs (src/unconfound/encoders/model_folder.py), and checks names where it reads files itself
# (src/unconfound/encoders/unfit_weights.py).
#
# Exits 0 while this holds, and otherwise with 1.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  torch==2.15.0 torchvision==0.29.2 timm==1.0.31 safetensors==0.8.0 2>/dev/null
FOLDER="$folder" "$folder/venv/bin/python" -W ignore - <<'PYTHON'
import logging
import os
import sys
from importlib.metadata import version

import timm
import torch
from safetensors.torch import save_file

logging.disable(logging.WARNING)
path = os.path.join(os.environ["FOLDER"], "model.safetensors")
save_file({"another.network": torch.zeros(3)}, path)


def made(seed: int, classes: int) -> object:
    torch.manual_seed(seed)
    overlay = {"file": path}
    try:
        return timm.create_model("test_vit", pretrained=True, pretrained_cfg_overlay=overlay, num_classes=classes)
    except RuntimeError as error:
        return error


def random(classes: int) -> bool:
    first, second = made(0, classes), made(1, classes)
    if not isinstance(first, torch.nn.Module) or not isinstance(second, torch.nn.Module):
        return False
    return not torch.equal(first.patch_embed.proj.weight, second.patch_embed.proj.weight)


refused = isinstance(made(0, 1000), RuntimeError)
features, other = random(0), random(5)
print(f"timm {version('timm')}, torch {version('torch')}")
print("expected: a file that holds none of a network's weights is refused, whatever head is asked for")
print(f"seen, with the head that the weights are for: {'refused' if refused else 'taken'}")
print(f"seen, without a head: {'taken, and all weights are random' if features else 'refused'}")
print(f"seen, with a head for 5 classes: {'taken, and all weights are random' if other else 'refused'}")
holds = refused and features and other
print("as described" if holds else "CHANGED: this finding no longer holds")
sys.exit(not holds)
PYTHON
