"""What several methods are made of: heads, targets, memories, and what those that share a form have in common."""
