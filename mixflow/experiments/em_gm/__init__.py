"""The experiments of EM-GM (arXiv 1907.13432): one module per table or figure."""
