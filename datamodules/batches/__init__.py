"""Images in memory, and the order in which they are seen."""
