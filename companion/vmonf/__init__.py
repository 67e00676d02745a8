"""The experiments of VMoNF (arXiv 2009.00585): one module per figure, shared parts beside them."""
