"""python train.py SOURCE OUTPUT: train a model; --help lists the options."""

import sys

from challenge.training.train import main

if __name__ == "__main__":
    sys.exit(main())
