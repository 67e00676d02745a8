"""Speed and memory, side by side with other libraries; see README.md beside this file."""
