"""Files of pictures and their tables, without Lightning."""
