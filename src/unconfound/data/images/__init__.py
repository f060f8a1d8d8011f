"""Images: decoded, masked, kept in memory or streamed; folders and lists of them."""

from unconfound.data.images.folder import image_folder as image_folder
from unconfound.data.images.reading import Reading as Reading
