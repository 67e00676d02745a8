"""Let ``python -m mixflow`` be the command ``mixflow``."""

from mixflow.cli import main

if __name__ == "__main__":
    main()
