"""Writes what TensorFlow 1.15 makes of two_heads.py: expected.json.

Run once, on Python 3.7 with tensorflow 1.15.5, as

  python tests/estimator/write_expected.py

which nothing else does: that TensorFlow does not install beside today's.
"""

import json
import os
import sys
import tempfile

_FOLDER = os.path.dirname(os.path.abspath(__file__))
# The imports of today, and what stood there in 2018.
_IMPORTS = (
    ("import tensorflow.compat.v1 as tf", "import tensorflow as tf"),
    ("from mtl_graph import estimator as contrib_estimator",
     "from tensorflow.contrib import estimator as contrib_estimator"),
    ("from mtl_graph import estimator\n", "from tensorflow import estimator\n"),
)
KINDS = ("binary_classification_head", "multi_class_head", "multi_label_head",
         "regression_head", "poisson_regression_head",
         "logistic_regression_head")


def main():
  with open(os.path.join(_FOLDER, "two_heads.py"), encoding="utf-8") as file:
    source = file.read()
  for today, then in _IMPORTS:
    if source.count(today) != 1:
      raise ValueError(f"found {today!r} {source.count(today)} times")
    source = source.replace(today, then)
  names = {}
  exec(compile(source, "two_heads.py", "exec"), names)  # This project's own.
  with tempfile.TemporaryDirectory() as folder:
    found = {"tensorflow": names["tf"].__version__,
             "python": sys.version.split()[0],
             "two_heads": names["run"](folder)}
    found["heads"] = {kind: names["run_head"](folder, kind) for kind in KINDS}
  with open(os.path.join(_FOLDER, "expected.json"), "w",
            encoding="utf-8") as file:
    json.dump(found, file, indent=1, sort_keys=True)
    file.write("\n")


if __name__ == "__main__":
  main()
