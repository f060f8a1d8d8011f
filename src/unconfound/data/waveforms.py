"""Where scripts of earlier versions look for `unconfound.data.sequences.waveforms`."""

from unconfound.data.sequences.waveforms import read_waveform

__all__ = ["read_waveform"]
