"""EM-GM on images: figures 3 to 7 and table I."""
