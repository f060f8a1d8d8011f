import pytest


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    """Decoded images of a test stay in its own folder."""
    monkeypatch.setenv("UNCONFOUND_CACHE", str(tmp_path / "cache"))
