"""A valid experiment whose rows come from a source per task, and its rows."""

import os

from tests import small_experiment

TEXT = small_experiment.edited(small_experiment.TEXT, [
    ('name: "small"', 'name: "sources"'),
    ("""\
  train { csv { path: "train.csv" } weight_column: "weight" }
  validation { csv { path: "validation.csv" } weight_column: "weight" }
""", """\
  source {
    name: "ads" task: ["click", "spent"] rate: 2
    train { csv { path: "ads.csv" } weight_column: "weight" }
    validation { csv { path: "ads_later.csv" } }
  }
  source {
    name: "shop" task: "tier" rate: 1 at_end: STOP
    train { csv { path: "shop.csv" } }
    validation { csv { path: "shop_later.csv" } }
  }
  mixing { stated {} }
"""),
    ('spent" label { log1p: true }',
     'spent" label { log1p: true only_when { task: "click" } }')])

# The columns that the rows of each source do not have.
_LACKING = {"ads": ("tier",), "shop": ("clicked", "spent", "weight")}


def write(folder: str, text: str) -> None:
  """Writes an experiment as `sources.pbtxt`, and its files, into a folder."""
  with open(os.path.join(folder, "sources.pbtxt"), "w",
            encoding="utf-8") as file:
    file.write(text)
  for source, lacking in _LACKING.items():
    for suffix, seed, count in (("", 1, 60), ("_later", 2, 20)):
      names, rows = small_experiment.make_rows(seed, count)
      kept = [i for i, name in enumerate(names) if name not in lacking]
      small_experiment.write_csv(
          os.path.join(folder, f"{source}{suffix}.csv"),
          [names[i] for i in kept], [[row[i] for i in kept] for row in rows])
