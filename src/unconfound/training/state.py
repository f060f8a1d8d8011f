"""All that training changes: the method, its optimizers and the moving average of the encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import nn
from torch.nn.utils import get_total_norm
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from unconfound.documents import one_line
from unconfound.encoders.gradient_checkpoints import checkpoint_gradients
from unconfound.methods import Method
from unconfound.options.training import TrainingOptions
from unconfound.training.batch_norm import synchronize_batch_norm
from unconfound.training.learning_rates import freeze, layer_scales
from unconfound.training.optimizers import build_optimizer

if TYPE_CHECKING:
    # Importing it takes longer than torch: only where something is trained.
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.precision.precision import Precision


@dataclass(frozen=True)
class TrainingState:
    """What a checkpoint holds beside the position.

    Args:
        method: as the user made it.
        module: the same, as Fabric wraps it for precision and processes: what the loop calls.
        optimizers: one a phase.
        average: of the encoder's weights, or None.
        precision: Fabric's, which scales the loss in half precision.
        moves_encoder: names of the phases that move the encoder, after which the average follows it.
        gradient_clip: largest norm of a phase's gradient, or None.
    """

    method: Method
    module: Any
    optimizers: dict[str, Any]
    average: AveragedModel | None
    precision: Precision
    moves_encoder: frozenset[str]
    gradient_clip: float | None

    @classmethod
    def prepare(cls, method: Method, options: TrainingOptions, fabric: Fabric) -> TrainingState:
        """Move a method to its device, freeze what is to be kept, and make its optimizers.

        Raises:
            ValueError: the encoder cannot be frozen or trained as the options say.
        """
        if fabric.world_size > 1 and method.synchronize_batch_norm:
            synchronize_batch_norm(method, fabric.device)
        freeze(method.encoder, options)
        if options.gradient_checkpointing:
            checkpoint_gradients(method.encoder)
        phases, scales = method.phases(), layer_scales(method.encoder, options.layer_decay)
        optimizers: dict[str, Any] = {
            phase.name: build_optimizer(phase, options, device=fabric.device.type, scales=scales) for phase in phases
        }
        module: Any = method.to(fabric.device)
        if phases:
            module = fabric.setup_module(method)
            optimizers = {name: fabric.setup_optimizers(optimizer) for name, optimizer in optimizers.items()}
        average = None
        if options.ema_decay:
            average = AveragedModel(
                method.encoder, multi_avg_fn=get_ema_multi_avg_fn(options.ema_decay), use_buffers=True
            )
        encoder = set(method.encoder.parameters())
        moves_encoder = frozenset(
            name
            for name, optimizer in optimizers.items()
            if any(not encoder.isdisjoint(group["params"]) for group in optimizer.param_groups)
        )
        return cls(method, module, optimizers, average, fabric.strategy.precision, moves_encoder, options.gradient_clip)

    @property
    def encoder(self) -> nn.Module:
        """What would be saved now: the encoder, or the moving average of its weights."""
        return self.method.encoder if self.average is None else self.average.module

    def content(self) -> dict[str, Any]:
        """Return everything as tensors and plain values."""
        return {
            "method": self.method.state_dict(),
            "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
            "average": None if self.average is None else self.average.state_dict(),
            "precision": self.precision.state_dict(),
        }

    def load(self, content: dict[str, Any]) -> None:
        """Take over what `content` returned.

        Raises:
            ValueError: it comes from another encoder, other phases or another optimizer.
        """
        try:
            self.method.load_state_dict(content["method"])
            for name, optimizer in self.optimizers.items():
                optimizer.load_state_dict(content["optimizers"][name])
            if self.average is not None:
                self.average.load_state_dict(content["average"])
            self.precision.load_state_dict(content["precision"])
        except (RuntimeError, ValueError, KeyError, AttributeError) as error:
            raise ValueError(
                f"the checkpoint does not fit this method and its options ({one_line(error)}): resume with the same "
                "ones, or start anew with --overwrite"
            ) from error

    def is_finite(self) -> bool:
        """Say whether all weights are numbers; waits for the device."""
        return bool(get_total_norm([parameter.detach() for parameter in self.method.parameters()]).isfinite())

    def use_average(self) -> None:
        """Put the moving average, where there is one, in the encoder's place."""
        if self.average is not None:
            self.method.encoder.load_state_dict(self.average.module.state_dict())
