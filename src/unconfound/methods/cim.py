"""CIM: a small network morphs the image before the classifier sees it, evaluated by perceptual similarity."""

from __future__ import annotations

import math
from typing import Literal, cast, final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from unconfound.data import Batch, Schema
from unconfound.encoders import Encoder, Morphed
from unconfound.functional.distributed import gather, sum_over_processes, uniform, world
from unconfound.functional.inputs import unit_range, wide
from unconfound.functional.partners import class_partners, draw_partners
from unconfound.functional.ssim import perceptual_triplet
from unconfound.methods.method import Phase, Step
from unconfound.methods.parts.classifying import Classifier, accuracy, step_of
from unconfound.methods.parts.labelled import cross_entropy, labels_of
from unconfound.options.methods.cim import CIMOptions
from unconfound.views.exchanged_pairs import exchanged_pairs, neither_empty_nor_full

# An image dimmed to less than this share of its brightness, on average over a batch, is as good as black.
_DARK = 0.05
# Pixels of the smallest window of MS-SSIM.
_WINDOW = 7


@final
class CIM(Classifier[CIMOptions]):
    """A classifier of morphed images: a small network weights the pixels, a triplet of image similarities judges it.

    Asgari Taghanaki, Choi, Khasahmadi and Goyal, "Robust Representation Learning via Perceptual Similarity Metrics",
    ICML 2021. The loss is weight x (MS-SSIM(morphed, positive) - MS-SSIM(morphed, negative)) + cross-entropy (+ the
    information term with `--vib`), where positives share the anchor's label. As printed this is direction="literal";
    ours is its negative unless asked otherwise, for the printed sign moves an image away from its own class. With
    partners="exchanged" (ours), positives have the foreground in common with the anchor, and negatives the background.
    """

    name = "cim"
    Options = CIMOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: CIMOptions | None = None) -> None:
        options = options or CIMOptions()
        if schema.modality != "images":
            raise ValueError(f"cim morphs images, the data are {schema.modality}: take another method")
        # The classifier is made before the morpher, so that the same seed gives the same one as without it.
        super().__init__(encoder, schema, options)
        self.weight = options.weight if options.weight is not None else {"pull": 1.0, "literal": 0.1}[options.direction]
        if self.weight > 0 and options.similarity in ("ms-ssim", "ssim"):
            _check_side(schema)
        mask_channels = 1 if options.mask_channels == "one" else schema.shape[0]
        reduction, lowest = options.reduction, options.lowest_mask
        morphed = encoder.wrap(Morphed, mask_channels=mask_channels, reduction=reduction, lowest=lowest)
        if options.first_mask is not None:
            morphed.morpher.start_at(options.first_mask)
        self.mask_mean: Tensor | float = 1.0

    def phases(self) -> tuple[Phase, ...]:
        """Move the morpher without weight decay, which would pull it towards a mask of one grey."""
        own, morphed = self.options.morpher_learning_rate, self.encoder.wrapper(Morphed)
        morpher = {"params": list(morphed.morpher.parameters()), "weight_decay": 0.0}
        rest = [*morphed.network.parameters(), *self.head.parameters()]
        return (Phase("train", ({"params": rest}, morpher | ({} if own is None else {"lr": own}))),)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        labels = labels_of(batch, method=self.name)
        images = _unit_range(cast(Tensor, batch.inputs))
        morphed, mask = self.encoder.wrapper(Morphed).morph(images)
        shown = morphed.detach() if self.options.detach_supervision else morphed
        embeddings = self.encoder.wrapper(Morphed).network(shown)
        logits, information = self.head(embeddings)
        entropy = cross_entropy(logits, labels).mean()
        told = {"cross_entropy": entropy.detach(), "accuracy": accuracy(logits, labels), "mask": mask.detach().mean()}
        if self.options.vib:
            told["information"] = information.detach()
        loss = entropy + information
        if self.options.mask_weight > 0:
            difference = self._mask_difference(mask, batch.masks)
            loss = loss + self.options.mask_weight * difference
            told["mask_difference"] = difference.detach()
        if self.weight > 0:
            triplet, similarities = self._triplet(morphed, images, labels, batch.masks)
            loss = loss + self.weight * triplet
            told |= similarities
        self.mask_mean = told["mask"]
        return step_of(loss, embeddings, told)

    def _triplet(
        self, morphed: Tensor, images: Tensor, labels: Tensor, masks: Tensor | None
    ) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
        """Compare this process's anchors with raw images of the whole batch, or with what exchanges make of them."""
        options = self.options
        _, processes = world()
        anchors, originals, similarity = morphed, images, options.similarity
        if options.partners == "exchanged":
            originals, positives, negatives = self._exchanged_partners(images, labels, masks)
        else:
            positives, negatives = self._partners(labels)
        if options.similarity == "feature":
            with torch.no_grad():
                originals = self._features(originals)
            anchors, similarity = self._features(morphed), "l2"
        if options.partners != "exchanged":
            originals = gather(originals)
        triplet = perceptual_triplet(
            anchors,
            originals,
            positives,
            negatives,
            direction=options.direction,
            negative=options.negative,
            similarity=cast(Literal["ms-ssim", "ssim", "l2"], similarity),
        )
        # Processes may have unequal numbers of anchors with partners: the mean is over all of them.
        share = triplet.anchors * processes / sum_over_processes(triplet.anchors.clone()).clamp_min(1)
        told = {"triplet": triplet.loss.detach(), "positive": triplet.positive, "negative": triplet.negative}
        told = {name: value.nan_to_num() for name, value in told.items()}
        return triplet.loss * share, told | {"anchors": triplet.anchors / len(images)}

    @torch.no_grad()
    def _partners(
        self, labels: Int[Tensor, " batch"]
    ) -> tuple[Int[Tensor, "batch positives"], Int[Tensor, "batch negatives"]]:
        """Draw images of the whole batch, by their positions."""
        options, first = self.options, world()[0] * len(labels)
        counts = options.positives, options.negatives
        everyone = gather(labels)
        scores = uniform(len(labels), len(everyone), device=labels.device)
        if options.partners == "any":
            # Of one class all images but itself are allowed.
            alike = torch.zeros_like(everyone)
            allowed, _ = class_partners(alike[: len(labels)], alike, first=first)
            positives, negatives = draw_partners(scores, allowed, count=sum(counts)).split(counts, 1)
            return positives, negatives
        same, other = class_partners(labels, everyone, first=first)
        return draw_partners(scores, same, count=counts[0]), draw_partners(scores, other, count=counts[1])

    @torch.no_grad()
    def _exchanged_partners(
        self, images: Tensor, labels: Int[Tensor, " batch"], masks: Tensor | None
    ) -> tuple[
        Float[Tensor, "partners channels height width"], Int[Tensor, "batch positives"], Int[Tensor, "batch negatives"]
    ]:
        """Exchange the background of each image with images of other classes; return these pictures and their places.

        Positives have the foreground in common with their anchor and negatives the background, so that what tells them
        apart is not the background's.
        """
        options, masks = self.options, _given(masks)
        useful = neither_empty_nor_full(masks)
        counts = options.positives, options.negatives
        _, other = class_partners(labels, gather(labels), first=world()[0] * len(labels))
        allowed = other & useful[:, None] & gather(useful.to(torch.uint8)).bool()
        partners = draw_partners(uniform(*other.shape, device=labels.device), allowed, count=max(counts))
        pairs = exchanged_pairs(images, masks, partners)
        shown = pairs.own[:, : counts[0]].flatten(0, 1), pairs.other[:, : counts[1]].flatten(0, 1)
        places, first = [], 0
        for count, pictures in zip(counts, shown, strict=True):
            at = first + torch.arange(len(pictures), device=labels.device).view(len(labels), count)
            places.append(at.masked_fill(partners[:, :count] < 0, -1))
            first += len(pictures)
        return torch.cat(shown), places[0], places[1]

    def _mask_difference(self, mask: Tensor, masks: Tensor | None) -> Float[Tensor, ""]:
        """Compare the mask with the given ones: cross-entropy of each pixel's place in the range of the mask.

        An empty mask says that the foreground is not known, and not that all of the image is to be hidden: it has the
        loss 0.
        """
        lowest, masks = self.options.lowest_mask, _given(masks)
        wanted = masks.to(mask.dtype).expand_as(mask)
        known = masks.flatten(1).any(1).to(mask.dtype).view(-1, 1, 1, 1)
        # Rounding may bring a mask to the ends of its range, and further.
        share = ((mask - lowest) / (1 - lowest)).clamp(0, 1)
        # Autocast refuses this loss on a GPU; masks are in full precision anyway.
        with torch.autocast(mask.device.type, enabled=False):
            return F.binary_cross_entropy(share, wanted, weight=known.expand_as(mask))

    def _features(self, shown: Tensor) -> Float[Tensor, "images features 1 1"]:
        """Embed images so that `perceptual_triplet`'s "l2" is the cosine of their embeddings.

        The gradient reaches the images alone: the network is a fixed critic, and its BatchNorm keeps its statistics.
        """
        network = self.encoder.wrapper(Morphed).network
        fixed = {name: value.detach() for name, value in network.named_parameters()}
        fixed |= {name: value.clone() for name, value in network.named_buffers()}
        rows: Tensor = functional_call(network, fixed, (shown,))
        # Unit vectors u, v have 1 - |u - v|^2 / 2 as their cosine; "l2" is 1 - |u - v|^2 / width.
        unit = F.normalize(wide(rows), dim=1)
        return unit[:, :, None, None] * math.sqrt(rows.shape[1] / 2)

    def alarm(self) -> str | None:
        """Tell of a morpher that lets no light through."""
        if float(self.mask_mean) >= _DARK:
            return None
        return (
            f"mask: the morpher lets only {float(self.mask_mean):.1%} of the light through, so that the classifier "
            "sees nearly nothing: give a smaller --weight, or the other --direction"
        )


def _unit_range(images: Tensor) -> Float[Tensor, "batch channels height width"]:
    if images.dtype != torch.uint8 and (float(images.min()) < 0 or float(images.max()) > 1):
        raise ValueError(
            f"cim needs images in [0, 1] or as uint8, got values from {float(images.min()):g} to "
            f"{float(images.max()):g}: rescale them, and leave normalisation to the encoder"
        )
    return unit_range(images)


def _given(masks: Tensor | None) -> Bool[Tensor, "batch 1 height width"]:
    if masks is None:
        raise ValueError(
            "cim needs masks of the foregrounds for partners exchanged and a mask_weight above 0, and the data have "
            "none: name their folder with --masks, or give --masks estimate"
        )
    return masks


def _check_side(schema: Schema) -> None:
    if min(schema.shape[1:]) < _WINDOW:
        raise ValueError(
            f"MS-SSIM needs images of at least {_WINDOW} pixels a side, the data have {schema.shape[1]} x "
            f"{schema.shape[2]}: enlarge them (--image-size), or give --similarity l2"
        )
