"""`python -m unconfound`, and `torchrun ... -m unconfound`."""

import sys

from unconfound.cli import main

sys.exit(main())
