"""The foreground alone, drawn by a linear layer from the embedding of an image on another background."""

from __future__ import annotations

from typing import cast, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional as F

from unconfound.data import Batch, Schema, Source
from unconfound.encoders import Encoder
from unconfound.encoders.apply import at_rest
from unconfound.functional.distributed import gather, world
from unconfound.functional.inputs import wide
from unconfound.methods.method import Method, Step
from unconfound.methods.parts.kept_directions import keep_common_directions
from unconfound.options.methods.foreground_autoencoder import ForegroundAutoencoderOptions
from unconfound.views.cutouts import cut_out
from unconfound.views.foregrounds import ForegroundViews

# To choose directions: images embedded at a time, views of each, and images at most.
AT_A_TIME, VERSIONS, SAMPLES = 256, 4, 4096


@final
class ForegroundAutoencoder(Method):
    """A linear layer draws the foreground from the embedding of an image. Needs masks of the foregrounds, no labels.

    Our own: a denoising autoencoder (Vincent et al., "Extracting and Composing Robust Features with Denoising
    Autoencoders", ICML 2008) whose noise is all that is not to be learnt. The encoder sees a foreground in other
    colours, turned and moved, on the background of another image (`ForegroundViews`). From the embedding, one linear
    layer predicts a coarse picture of the foreground as it was: how much of each pixel it covers, and its colours
    there (`cut_out`). The loss is the binary cross-entropy of the two, averaged over pixels and channels.

    The background is another one each time and tells nothing of the picture, so that nothing rewards an embedding for
    it. As the layer is linear, a linear probe finds in the embedding what is drawn, and no head stands between the
    embedding and the loss. What is left of the background goes in the end: `directions` whitened directions are kept in
    which several views of a foreground agree most (`within_pair_whitening`), in closed form.

    A batch of one image has no other background, and is refused.
    """

    name = "foreground-autoencoder"
    Options = ForegroundAutoencoderOptions

    def __init__(self, encoder: Encoder, schema: Schema, options: ForegroundAutoencoderOptions | None = None) -> None:
        super().__init__(encoder, schema)
        self.options = options = options or ForegroundAutoencoderOptions()
        if schema.modality != "images":
            raise ValueError(
                f"foreground-autoencoder draws foregrounds of images, the data are {schema.modality}: train dacl"
            )
        self.encoder = encoder
        self.decoder = nn.Linear(encoder.features, (1 + schema.shape[0]) * options.side**2)
        self.views = ForegroundViews(options)

    def forward(self, batch: Batch, phase: str = "train") -> Step:
        images, masks = cast(Tensor, batch.inputs), self._masks(batch)
        embeddings = self.encoder(self.views(images, masks, count=1))
        drawn = wide(self.decoder(embeddings))
        loss = F.binary_cross_entropy_with_logits(drawn, cut_out(images, masks, side=self.options.side).flatten(1))
        return Step(loss, embeddings=embeddings.detach().float())

    def after_training(self, source: Source, validation: Source | None) -> str | None:
        """Choose the directions by views of training images, and put them behind the encoder."""
        kept = self.options.directions
        if kept is None:
            kept = max(1, self.encoder.features // 8)
        return keep_common_directions(self.encoder, self._versions(source), directions=kept) if kept else None

    @torch.no_grad()
    def _versions(self, source: Source) -> Float[Tensor, "samples versions features"]:
        """Embed several views of images drawn at random, those of each batch spread over the processes."""
        rank, processes = world()
        order = torch.randperm(len(source))[:SAMPLES]
        parts = [part[: len(part) // processes * processes] for part in order.split(AT_A_TIME)]
        own = (part.chunk(processes)[rank] for part in parts if len(part) > 1)
        found = []
        with at_rest(self.encoder) as device:
            for batch in source.batches(own):
                images, masks = cast(Tensor, batch.inputs).to(device), self._masks(batch).to(device)
                embeddings = self.encoder(self.views(images, masks, count=VERSIONS)).float()
                found.append(gather(torch.stack(embeddings.chunk(VERSIONS), 1)))
        return torch.cat(found)

    def _masks(self, batch: Batch) -> Bool[Tensor, "batch 1 height width"]:
        if batch.masks is None:
            raise ValueError(
                "foreground-autoencoder needs masks of the foregrounds, and these images have none: name their folder "
                "with --masks, have them estimated by --masks estimate, or train simclr"
            )
        return batch.masks
