"""What tests of the command line share: short trainings, and how well they did."""

import re

QUICK = ["train", "--epochs", "1", "--hidden", "16"]
BARE = [*QUICK, "--no-compare"]


def accuracy_in(out):
    return float(re.search(r"^test accuracy +([\d.]+)%", out, re.M)[1])
