"""EM-GM table II, and what lies behind its numbers."""
