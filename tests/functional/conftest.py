from __future__ import annotations

import jaxtyping
import pytest


@pytest.fixture
def unchecked_shapes():
    """Let the functions' own checks speak, which the checker of annotations would come before."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
