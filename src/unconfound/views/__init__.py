"""How a batch becomes two views."""

from unconfound.views.blur import gaussian_blur as gaussian_blur
from unconfound.views.colour import adjust_brightness as adjust_brightness
from unconfound.views.colour import adjust_contrast as adjust_contrast
from unconfound.views.colour import adjust_hue as adjust_hue
from unconfound.views.colour import adjust_saturation as adjust_saturation
from unconfound.views.colour import grayscale as grayscale
from unconfound.views.geometry import random_boxes as random_boxes
from unconfound.views.geometry import resized_crop as resized_crop
from unconfound.views.images import ImageViews as ImageViews
from unconfound.views.jitter import colour_jitter as colour_jitter
from unconfound.views.mixing import MixedViews as MixedViews
from unconfound.views.mixing import MixingOptions as MixingOptions
from unconfound.views.noise import NoiseOptions as NoiseOptions
from unconfound.views.noise import NoisyViews as NoisyViews
from unconfound.views.noise import matched_sigma as matched_sigma
