"""`python -m genograph`, as torchrun starts it."""

from genograph.cli import main

if __name__ == "__main__":
    main()
