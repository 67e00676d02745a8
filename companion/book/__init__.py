"""The book: its pages, how their notebooks are executed, and what they are made from."""
