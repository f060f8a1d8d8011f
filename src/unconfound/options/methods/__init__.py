"""Every method by name: the data it learns from, and its options."""

from typing import Any

from unconfound.options.methods.cim import CIMOptions
from unconfound.options.methods.classifying import (
    DFROptions,
    GroupDROOptions,
    IRMOptions,
    JTTOptions,
    SCLOptions,
    SupervisedOptions,
)
from unconfound.options.methods.dcml import DCMLOptions
from unconfound.options.methods.icl_msr import ICLMSROptions
from unconfound.options.methods.infograph import InfoGraphOptions
from unconfound.options.methods.metric import MetricOptions
from unconfound.options.methods.random import RandomOptions
from unconfound.options.methods.two_views import (
    BarlowTwinsOptions,
    BYOLOptions,
    DACLOptions,
    GaussianOptions,
    LargeMarginOptions,
    MoCoOptions,
    RELICOptions,
    ReSSLOptions,
    SCARFOptions,
    SimCLRDACLOptions,
    SimCLROptions,
    SimSiamOptions,
    SSLHSICOptions,
    SwAVOptions,
    VICRegOptions,
    WMSEOptions,
)

# A method of "any data" learns from the four others alike.
METHODS_OF: dict[str, dict[str, type[Any]]] = {
    "any data": {
        "random": RandomOptions,
        "supervised": SupervisedOptions,
        "gaussian": GaussianOptions,
        "dacl": DACLOptions,
        "metric": MetricOptions,
        "scl": SCLOptions,
        "group-dro": GroupDROOptions,
        "irm": IRMOptions,
        "jtt": JTTOptions,
        "dfr": DFROptions,
    },
    "images": {
        "simclr": SimCLROptions,
        "simclr+dacl": SimCLRDACLOptions,
        "moco": MoCoOptions,
        "byol": BYOLOptions,
        "simsiam": SimSiamOptions,
        "icl-msr": ICLMSROptions,
        "ressl": ReSSLOptions,
        "relic": RELICOptions,
        "ssl-hsic": SSLHSICOptions,
        "swav": SwAVOptions,
        "barlow-twins": BarlowTwinsOptions,
        "vicreg": VICRegOptions,
        "w-mse": WMSEOptions,
        "large-margin": LargeMarginOptions,
        "cim": CIMOptions,
        "dcml": DCMLOptions,
    },
    "tables": {
        "scarf": SCARFOptions,
    },
    "graphs": {
        "infograph": InfoGraphOptions,
    },
}
OPTIONS = {name: options for methods in METHODS_OF.values() for name, options in methods.items()}
# These learn a similarity, which is tested on other classes than it is trained on unless the user says otherwise.
JUDGED_ON_UNSEEN_CLASSES = ("dcml", "metric")
# Other names of a method with some of its options set.
ALIASES: dict[str, tuple[str, dict[str, Any]]] = {
    "cim+vib": ("cim", {"vib": True}),
    "dacl+": ("dacl", {"functions": ["linear", "geometric", "binary"]}),
}
