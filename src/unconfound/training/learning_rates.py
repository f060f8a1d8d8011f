"""Which parameters of an encoder move, and how fast beside one another."""

from __future__ import annotations

from types import MethodType
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from unconfound.encoders import Encoder
from unconfound.encoders.blocks import blocks_of
from unconfound.options.training import TrainingOptions


def layer_scales(encoder: Encoder, decay: float) -> dict[nn.Parameter, float]:
    """Return the share of the learning rate that each parameter of an encoder has.

    Of N blocks, the k-th from the input on, from 1, has decay^(N + 1 - k), what precedes them decay^(N + 1), and what
    is behind them 1, as in the fine-tuning of BEiT: Bao et al., "BEiT: BERT Pre-Training of Image Transformers", ICLR
    2022, appendix H.

    Args:
        encoder: any of ours.
        decay: in (0, 1].

    Raises:
        ValueError: it is not known what the blocks of the encoder are.
    """
    if decay == 1:
        return {}
    blocks = blocks_of(encoder)
    count = len(blocks.blocks)
    scales = dict.fromkeys(blocks.stem, decay ** (count + 1)) | dict.fromkeys(blocks.rest, 1.0)
    for number, parameters in enumerate(blocks.blocks, 1):
        scales |= dict.fromkeys(parameters, decay ** (count + 1 - number))
    return scales


def freeze(encoder: Encoder, options: TrainingOptions) -> None:
    """Keep those parameters of an encoder from moving that the options say, and BatchNorm's statistics beside them.

    What a method puts around an encoder, as a projection or a morpher, is not the encoder's in this.

    Raises:
        ValueError: the encoder has fewer blocks, or it is not known what they are.
    """
    if options.freeze_encoder:
        module: Any = encoder.network
        before = 0 if encoder.started is None else len(encoder.started.architecture.get("wrappers", ()))
        for _ in range(len(encoder.architecture.get("wrappers", ())) - before):
            module = module.network
        module.requires_grad_(False)
        for layer in module.modules():
            _stay_in_evaluation(layer)
    elif options.freeze_blocks:
        blocks = blocks_of(encoder)
        if options.freeze_blocks > len(blocks.blocks):
            raise ValueError(
                f"--freeze-blocks {options.freeze_blocks} is more than the {len(blocks.blocks)} blocks of "
                f"{encoder.architecture['name']}: use --freeze-encoder to keep all of it"
            )
        for parameters in (blocks.stem, *blocks.blocks[: options.freeze_blocks]):
            for parameter in parameters:
                parameter.requires_grad_(False)
        for layer in encoder.modules():
            own = list(layer.parameters(recurse=False))
            if isinstance(layer, _BatchNorm) and own and not any(each.requires_grad for each in own):
                _stay_in_evaluation(layer)


def _stay_in_evaluation(layer: nn.Module) -> None:
    """Let a layer be in evaluation mode whatever becomes of the mode of what holds it."""
    layer.training = False
    layer.train = MethodType(_no_training, layer)  # type: ignore[method-assign]


def _no_training(layer: nn.Module, mode: bool = True) -> nn.Module:
    return nn.Module.train(layer, False)
