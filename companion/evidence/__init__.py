"""Evidence: the published numbers, what runs say of them, and the verdicts."""
