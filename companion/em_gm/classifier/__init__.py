"""What a generative classifier gives beyond the class."""
