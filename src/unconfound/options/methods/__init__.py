"""Every method by name: the data it learns from, and its options."""

from typing import Any

from unconfound.options.methods import classifying, multi_crop, refitting, two_views
from unconfound.options.methods.cim import CIMOptions
from unconfound.options.methods.dcml import DCMLOptions
from unconfound.options.methods.foreground_autoencoder import ForegroundAutoencoderOptions
from unconfound.options.methods.icl_msr import ICLMSROptions
from unconfound.options.methods.infograph import InfoGraphOptions
from unconfound.options.methods.metric import MetricOptions
from unconfound.options.methods.random import RandomOptions

# A method of "any data" learns from the four others alike.
METHODS_OF: dict[str, dict[str, type[Any]]] = {
    "any data": {
        "random": RandomOptions,
        "supervised": classifying.SupervisedOptions,
        "gaussian": two_views.GaussianOptions,
        "dacl": two_views.DACLOptions,
        "metric": MetricOptions,
        "scl": classifying.SCLOptions,
        "group-dro": classifying.GroupDROOptions,
        "irm": classifying.IRMOptions,
        "jtt": classifying.JTTOptions,
        "dfr": classifying.DFROptions,
        "afr": refitting.AFROptions,
        "self": refitting.SELFOptions,
    },
    "images": {
        "simclr": two_views.SimCLROptions,
        "simclr+dacl": two_views.SimCLRDACLOptions,
        "moco": two_views.MoCoOptions,
        "byol": two_views.BYOLOptions,
        "simsiam": two_views.SimSiamOptions,
        "icl-msr": ICLMSROptions,
        "ressl": two_views.ReSSLOptions,
        "relic": two_views.RELICOptions,
        "ssl-hsic": two_views.SSLHSICOptions,
        "swav": multi_crop.SwAVOptions,
        "dino": multi_crop.DINOOptions,
        "lejepa": multi_crop.LeJEPAOptions,
        "barlow-twins": two_views.BarlowTwinsOptions,
        "vicreg": two_views.VICRegOptions,
        "w-mse": two_views.WMSEOptions,
        "contracam": two_views.ContraCAMOptions,
        "large-margin": two_views.LargeMarginOptions,
        "foreground-autoencoder": ForegroundAutoencoderOptions,
        "cim": CIMOptions,
        "dcml": DCMLOptions,
        "masktune": refitting.MaskTuneOptions,
    },
    "tables": {
        "scarf": two_views.SCARFOptions,
    },
    "graphs": {
        "infograph": InfoGraphOptions,
    },
}
OPTIONS = {name: options for methods in METHODS_OF.values() for name, options in methods.items()}
# These learn a similarity, which is tested on other classes than it is trained on unless the user says otherwise.
TESTED_ON_UNSEEN_CLASSES = ("dcml", "metric")
# Other names of a method with some of its options set.
ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "cim+vib": ("cim", {"vib": True}),
    "dacl+": ("dacl", {"functions": ["linear", "geometric", "binary"]}),
}
