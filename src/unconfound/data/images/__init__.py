"""Images: decoded, masked, kept in memory or streamed; folders and lists of them."""
