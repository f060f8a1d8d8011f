"""A throw-away method of each kind that the contract of `methods/method.py` must carry."""

from __future__ import annotations

import copy
import math
import os
import signal
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from unconfound.functional.contrastive import nt_xent
from unconfound.functional.distributed import gather
from unconfound.methods import Method, Phase, SimCLR, Step


@dataclass(frozen=True, kw_only=True)
class TwoPhaseOptions:
    own_pass: bool = True
    every: int = 1
    start: int = 0
    stop: int | None = None


class TwoPhase(Method):
    """Phase "learn" moves encoder and classifier, phase "gate" the gates, by a loss that both take part in."""

    Options = TwoPhaseOptions

    def __init__(self, encoder, schema, options=None):
        super().__init__(encoder, schema)
        self.options = options or TwoPhaseOptions()
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.features, len(schema.classes))
        self.gates = nn.Linear(encoder.features, encoder.features)
        self.seen = []

    def phases(self):
        learnt = (*self.encoder.parameters(), *self.classifier.parameters())
        own_pass, every = self.options.own_pass, self.options.every
        return (
            Phase("learn", learnt, stop=self.options.stop),
            Phase(
                "gate",
                tuple(self.gates.parameters()),
                every=every,
                own_pass=own_pass,
                learning_rate=0.02,
                start=self.options.start,
            ),
        )

    def forward(self, batch, phase="learn"):
        self.seen.append((phase, batch.index.tolist(), [p.detach().clone() for p in self.parameters()]))
        embeddings = self.encoder(batch.inputs)
        # Random numbers of the global batch, so that two processes draw what one would.
        noise = torch.rand(self.classifier.in_features, dtype=embeddings.dtype)
        logits = self.classifier(embeddings * torch.sigmoid(self.gates(embeddings)) * (0.5 + noise))
        loss = F.cross_entropy(logits, batch.labels)
        if phase == "gate":
            loss = loss + logits.square().mean()
        return Step(loss, {"magnitude": logits.detach().abs().mean()}, embeddings.detach().float())


class BetweenEpochs(Method):
    """Learns a weight for each sample before every epoch, by gradient steps of its own."""

    Options = TwoPhaseOptions

    def __init__(self, encoder, schema, options=None):
        super().__init__(encoder, schema)
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.features, len(schema.classes))
        self.register_buffer("sample_weights", torch.zeros(64))
        self.epochs, self.sources = [], []

    def before_epoch(self, epoch, source):
        self.epochs.append(epoch)
        self.sources.append(source)
        self.eval()
        noise = torch.rand(len(source))
        for batch in source.batches(torch.arange(len(source)).split(16)):
            losses = F.cross_entropy(self.classifier(self.encoder(batch.inputs)), batch.labels, reduction="none")
            losses.mean().backward()  # leaves gradients behind, as a careless author would
            self.sample_weights[batch.index] = (losses.detach() + noise[batch.index]).to(self.sample_weights.dtype)

    def forward(self, batch, phase="train"):
        assert self.training
        logits = self.classifier(self.encoder(batch.inputs))
        losses = F.cross_entropy(logits, batch.labels, reduction="none")
        return Step((losses * self.sample_weights[batch.index]).mean())


class Queue(Method):
    """Contrasts with a queue of embeddings that a moving average of the encoder makes."""

    Options = TwoPhaseOptions
    momentum = 0.75

    def __init__(self, encoder, schema, options=None):
        super().__init__(encoder, schema)
        self.encoder = encoder
        self.teacher = copy.deepcopy(encoder).requires_grad_(False)
        self.register_buffer("queue", torch.zeros(24, encoder.features, dtype=next(encoder.parameters()).dtype))
        self.register_buffer("place", torch.zeros((), dtype=torch.long))
        self.waiting = None
        self.updates = 0

    def phases(self):
        return (Phase("train", tuple(self.encoder.parameters())),)

    def forward(self, batch, phase="train"):
        embeddings = self.encoder(batch.inputs)
        with torch.no_grad():
            keys = self.teacher(batch.inputs)
        self.waiting = gather(keys)
        negatives = embeddings @ self.queue.clone().T
        loss = (embeddings - keys).square().sum(1).mean() + negatives.square().mean()
        return Step(loss)

    def after_update(self):
        self.updates += 1
        with torch.no_grad():
            for mean, now in zip(self.teacher.parameters(), self.encoder.parameters(), strict=True):
                mean.lerp_(now, 1 - self.momentum)
        rows = (int(self.place) + torch.arange(len(self.waiting))) % len(self.queue)
        self.queue[rows] = self.waiting
        self.place.copy_((self.place + len(self.waiting)) % len(self.queue))


class Wrapping(Method):
    """Adds a term to the loss of another method, which it makes itself."""

    Options = TwoPhaseOptions
    strength = 0.0

    def __init__(self, encoder, schema, options=None):
        super().__init__(encoder, schema)
        self.host = SimCLR(encoder, schema)
        self.encoder = encoder
        self.scale = nn.Parameter(torch.zeros(()))

    def phases(self):
        return (*self.host.phases(), Phase("scale", (self.scale,), own_pass=False))

    def forward(self, batch, phase="train"):
        if phase == "scale":
            first, second = self.encoder(self.host.views(batch.inputs)).detach().chunk(2)
            return Step(nt_xent(gather(first) * (1 + self.scale), gather(second)) + self.scale.square())
        step = self.host(batch)
        return Step(step.loss + self.strength * self.scale, step.scalars, step.embeddings)


class Interrupted(Method):
    """Runs another method and raises a signal in its `at`-th forward pass."""

    Options = TwoPhaseOptions

    def __init__(self, host, at, number=signal.SIGTERM):
        nn.Module.__init__(self)
        self.host, self.encoder, self.at, self.number, self.calls = host, host.encoder, at, number, 0
        self.instances_per_class = host.instances_per_class

    def phases(self):
        return self.host.phases()

    def before_epoch(self, epoch, source):
        self.host.before_epoch(epoch, source)

    def sampling_weights(self, source, phase):
        return self.host.sampling_weights(source, phase)

    def before_update(self, phase, *, done, learning_rate):
        self.host.before_update(phase, done=done, learning_rate=learning_rate)

    def after_update(self):
        self.host.after_update()

    def after_training(self, source, validation):
        return self.host.after_training(source, validation)

    def linear_classifier(self):
        return self.host.linear_classifier()

    def of_samples(self):
        return self.host.of_samples()

    def forward(self, batch, phase="train"):
        self.calls += 1
        if self.calls == self.at:
            os.kill(os.getpid(), self.number)
        return self.host(batch, phase)


class Afterwards(Method):
    """Learns an encoder, and then its classifier in one go: the mean embedding of each class."""

    Options = TwoPhaseOptions

    def __init__(self, encoder, schema, options=None):
        super().__init__(encoder, schema)
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.features, len(schema.classes), bias=False).requires_grad_(False)

    def forward(self, batch, phase="train"):
        return Step(self.encoder(batch.inputs).square().mean())

    def after_training(self, source, validation):
        self.eval()
        batch = next(iter(source.batches([torch.randperm(len(source))])))
        with torch.no_grad():
            rows = self.encoder(batch.inputs)
        means = [rows[batch.labels == label].mean(0) for label in range(self.classifier.out_features)]
        self.classifier.weight.copy_(torch.stack(means))
        return f"means of {source.name}, set aside: {None if validation is None else validation.name}"

    def linear_classifier(self):
        return self.classifier


class Drawing(Method):
    """Draws samples by weights that it learns before every epoch, in one of its two phases."""

    Options = TwoPhaseOptions

    def __init__(self, encoder, schema, options=None):
        super().__init__(encoder, schema)
        self.encoder = encoder
        self.scale = nn.Parameter(torch.ones(()))
        self.register_buffer("weights", torch.zeros(48))
        self.seen = []

    def phases(self):
        return (Phase("drawn", tuple(self.encoder.parameters())), Phase("each", (self.scale,)))

    def before_epoch(self, epoch, source):
        self.weights.copy_(torch.rand(len(source)) * (source.labels == epoch % 2))

    def sampling_weights(self, source, phase):
        return self.weights if phase == "drawn" else None

    def forward(self, batch, phase="drawn"):
        self.seen.append((phase, batch.index.tolist()))
        return Step((self.scale * self.encoder(batch.inputs)).square().mean())


class Breaking(Method):
    """Its loss, or only the gradient of a finite loss, becomes NaN in the `at`-th forward pass."""

    Options = TwoPhaseOptions

    def __init__(self, encoder, schema, *, at, where):
        super().__init__(encoder, schema)
        self.encoder, self.at, self.where, self.calls = encoder, at, where, 0

    def forward(self, batch, phase="train"):
        self.calls += 1
        embeddings = self.encoder(batch.inputs)
        loss = embeddings.square().mean()
        if self.calls == self.at:
            loss = loss * math.nan if self.where == "loss" else loss + (embeddings * 0).sqrt().sum()
        return Step(loss, embeddings=embeddings.detach().float())
