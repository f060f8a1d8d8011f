"""Files on disk, before anything is known of what they hold: found, checked, cached."""
