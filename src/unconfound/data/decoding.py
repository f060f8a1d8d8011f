"""Where scripts of earlier versions look for `unconfound.data.images.decoding`."""

from unconfound.data.images.decoding import decode_image, decode_mask

__all__ = ["decode_image", "decode_mask"]
