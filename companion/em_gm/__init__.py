"""The experiments of EM-GM (arXiv 1907.13432).

- ``images``: figures 3 to 7 and table I;
- ``table_2``: classification by maximum likelihood, and what lies behind its numbers;
- ``classifier``: what a generative classifier gives beyond the class;
- ``convergence``: proposition 2.
"""
