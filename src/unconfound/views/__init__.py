"""How a batch becomes two views."""

from unconfound.options.views import CorruptionOptions as CorruptionOptions
from unconfound.options.views import ImageViewOptions as ImageViewOptions
from unconfound.options.views import MetricViewOptions as MetricViewOptions
from unconfound.options.views import MixingOptions as MixingOptions
from unconfound.options.views import NoiseOptions as NoiseOptions
from unconfound.views.backgrounds import exchange_backgrounds as exchange_backgrounds
from unconfound.views.blur import gaussian_blur as gaussian_blur
from unconfound.views.colour import adjust_hue as adjust_hue
from unconfound.views.corruption import CorruptedViews as CorruptedViews
from unconfound.views.geometry import random_boxes as random_boxes
from unconfound.views.image_views import image_views as image_views
from unconfound.views.images import ImageViews as ImageViews
from unconfound.views.mixed_views import MixedViews as MixedViews
from unconfound.views.noise import NoisyViews as NoisyViews
from unconfound.views.noise import matched_sigma as matched_sigma
