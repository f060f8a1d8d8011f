"""Networks that turn a sample into an embedding; each has `.features`."""

from unconfound.encoders.build import build_encoder as build_encoder
from unconfound.encoders.build import describe as describe
from unconfound.encoders.classifier import load_classifier as load_classifier
from unconfound.encoders.classifier import save_classifier as save_classifier
from unconfound.encoders.convnet import ConvNet as ConvNet
from unconfound.encoders.encoder import Encoder as Encoder
from unconfound.encoders.encoder import find_wrapper as find_wrapper
from unconfound.encoders.gated import Attention as Attention
from unconfound.encoders.gated import Gated as Gated
from unconfound.encoders.gin import GIN as GIN
from unconfound.encoders.gru import GRU as GRU
from unconfound.encoders.mlp import MLP as MLP
from unconfound.encoders.morphed import Morphed as Morphed
from unconfound.encoders.morphed import Morpher as Morpher
from unconfound.encoders.normalized import Normalized as Normalized
from unconfound.encoders.projected import Projected as Projected
from unconfound.encoders.resnet import ResNet as ResNet
from unconfound.encoders.saved import Card as Card
from unconfound.encoders.saved import load_encoder as load_encoder
from unconfound.encoders.saved import loading_snippet as loading_snippet
from unconfound.encoders.saved import read_card as read_card
from unconfound.encoders.saved import save_encoder as save_encoder
from unconfound.encoders.start_encoder import start_encoder as start_encoder
from unconfound.encoders.transformer import Transformer as Transformer
from unconfound.options.encoders import EncoderOptions as EncoderOptions
