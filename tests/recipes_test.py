"""Runs what docs/recipes.md shows: each fragment, table, command and script."""

import contextlib
import glob
import importlib
import importlib.util
import io
import itertools
import json
import os
import pathlib
import shlex
import sys
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format
import numpy as np
import tensorflow.compat.v1 as tf

import mtl_graph
from mtl_graph import config
from mtl_graph import outline
from mtl_graph import python_functions
from mtl_graph import validation
from mtl_graph.protos import experiment_pb2
from tests import recipes_page as page

# What the log of a run says where a recipe had an effect.
IN_LOG = {
    "Rows to leave out.": r"train [\d,]+ \([\d,]+ dropped",
    "Classes out of balance.": r"an epoch as resampled",
    "Start from another run.": r"starting from runs/shop/",
    "Start from a checkpoint of old.": r"  sliced: tower/bought/dense/kernel",
    "Crosses, wide and deep.": r"wide/clicked/match_by_heart/weights +200x1",
    "One table for several features.": r"embedding/goods/embeddings +21x3",
    "Losses on different scales.": r"learned uncertainty:",
    "How long.": r"(?s)step 40/\d+ .*metrics of \S+/best/model.ckpt-",
    "Metrics": r"validation by city:",
    "No joint loss.": r"loss clicked \S+ spent \S+ \|",
}
_NUMBERS = itertools.count()


def claims(message, path=""):
  """Returns what a fragment states that only one can, by place."""
  found = {}
  for field, value in message.ListFields():
    where = f"{path}.{field.name}"
    if field.message_type is None:
      found[where] = str(value)
    elif field.is_repeated:
      # Not twice, even if they are the same: the value is nobody else's.
      found.update((f"{where}.{element.name}", next(_NUMBERS))
                   for element in value if hasattr(element, "name"))
    else:
      if field.containing_oneof is not None:
        found[f"{path}.{field.containing_oneof.name}"] = field.name
      found.update(claims(value, where))
  return found


def gather(fragments):
  """Puts fragments that leave each other alone into one run."""
  runs = []
  for fragment in fragments:
    message = experiment_pb2.Experiment()
    text_format.Merge(fragment.text, message)
    # Groups must know every variable, cosines are one per pair of tasks, every
    # batch of a step is a network of its own, and some ways to make one loss do
    # not go with counts, or not with a cluster.
    training = message.training
    alone = (fragment.replaced or training.group or
             training.summaries.gradient_cosine or
             training.HasField("cluster") or
             training.accumulate_batches > 1 or training.execution.device or
             training.joint.loss.WhichOneof("kind") in (
                 "grad_norm", "smooth_chebyshev"))
    mine = claims(message)
    for others, theirs in runs:
      if not alone and theirs is not None and len(others) < 6 and all(
          theirs.get(place, value) == value for place, value in mine.items()):
        others.append(fragment)
        theirs.update(mine)
        break
    else:
      runs.append(([fragment], None if alone else mine))
  return [(fragments[0].title, fragments) for fragments, _ in runs]


def run_commands(block, *more):
  """Runs the commands of a block in this process, one a line."""
  for line in block.text.splitlines():
    program, *arguments = shlex.split(line)
    assert program == "python", line
    if arguments[0] == "-m":
      module, arguments = arguments[1], arguments[2:]
    else:
      module = arguments.pop(0).removesuffix(".py").replace("/", ".")
    if "make_shop" in module:
      arguments += more
    with contextlib.redirect_stdout(io.StringIO()) as output:
      code = importlib.import_module(module).main([module, *arguments])
    if code:
      raise AssertionError(f"{line}: exit code {code}: {output.getvalue()}")


def quick(experiment):
  """Shortens an experiment to what shows that it runs."""
  if experiment.training.WhichOneof("mode") == "independent":
    experiment.training.num_rounds = 1
  elif not experiment.training.HasField("num_epochs"):
    experiment.training.num_steps = 3
  if experiment.evaluation.every_steps == 100:  # The base's.
    experiment.evaluation.every_steps = 2
  if not experiment.training.HasField("summaries"):
    experiment.training.summaries.enabled = False
  return experiment


def check_days(test):
  """A day's run keeps the categories that it knew, and adds the new one."""
  known, later = [
      list(config.load(f"runs/{day}/experiment.pbtxt").data.feature[-1]
           .categorical.vocabulary) for day in ("day10", "day11")]
  test.assertLess(len(known), len(later))
  test.assertEqual(later[:len(known)], known)


def check_changes(test):
  """The run went on, and the task that was added is gone again."""
  with open("runs/shop/metrics.json", encoding="utf-8") as file:
    metrics = json.load(file)
  test.assertEndsWith(metrics["checkpoint"], "model.ckpt-400")
  test.assertCountEqual(metrics["validation"], ["clicked", "spent"])


def check_functions(test):
  names = [name for name, _ in tf.train.list_variables("runs/legacy")]
  test.assertContainsSubset(["trunk/python/fc1/weights",
                             "head/clicked_before/weights"], names)


def check_profile(test):
  test.assertNotEmpty(list(pathlib.Path("runs/profiled/profile").iterdir()))


def check_folds(test):
  with open("runs/folds/cross_validation.json", encoding="utf-8") as file:
    metrics = json.load(file)["metrics"]
  test.assertLen(metrics["validation"]["clicked"]["auc"]["values"], 2)


def check_shards(test):
  test.assertCountEqual(os.listdir("by_shard"), [
      *(f"shop-0000{i}-of-00003.csv" for i in range(3)), "predictions.json"])
  for name in glob.glob("by_shard/*.csv"):
    with open(name, encoding="utf-8") as file:
      test.assertStartsWith(file.readline(), "user,clicked/logit,")


# What the commands of a recipe leave behind.
CHECKS = {
    "Layers that TensorFlow 1 code builds.": check_functions,
    "Where the time goes.": check_profile,
    "How sure are the metrics?": check_folds,
    "Day by day.": check_days,
    "One task more, one task less.": check_changes,
    "What changed, and predictions by the million.": check_shards,
}


def setUpModule():
  global _before, _folder
  _before, _folder = os.getcwd(), tempfile.TemporaryDirectory()
  os.chdir(_folder.name)
  for block in [page.BASE, *page.FRAGMENTS]:
    if block.saved:
      config.write(page.merged(*([] if block is page.BASE else [block])),
                   block.saved)
  for name, text in page.saved_python().items():
    pathlib.Path(name).write_text(text, encoding="utf-8")
  sys.path.insert(0, _folder.name)
  run_commands(page.blocks("sh")[0], "--rows=600")


def tearDownModule():
  os.chdir(_before)
  sys.path.remove(_folder.name)
  _folder.cleanup()


class RecipesTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.enterContext(python_functions.allowing(
        [name.removesuffix(".py") for name in page.saved_python()]))

  def train(self, experiment, **arguments):
    """Trains in a folder of its own; returns the result and the log."""
    lines = []
    folder = self.enter_context(tempfile.TemporaryDirectory())
    result = mtl_graph.train(experiment, model_dir=folder, log=lines.append,
                             **arguments)
    return result, "\n".join(lines)

  def test_base_leaves_answers(self):
    with open("answers.csv", encoding="utf-8") as file:
      self.assertRegex(file.readline(),
                       "^user,clicked/logit,clicked/probability,spent/value$")

  def test_titles_with_an_effect_are_there(self):
    self.assertContainsSubset(IN_LOG, {f.title for f in page.FRAGMENTS})

  @parameterized.named_parameters(
      (f"{i}_{block.title}", block) for i, block in enumerate(page.FRAGMENTS))
  def test_fragment_is_valid_alone(self, block):
    validation.check(page.merged(block))

  @parameterized.named_parameters(
      (f"{i}_{run[0]}", run[1]) for i, run in enumerate(gather(page.FRAGMENTS)))
  def test_fragments_run(self, fragments):
    experiment = quick(page.merged(*fragments))
    result, log = self.train(experiment)
    for task in experiment.model.task:
      found = result.metrics["validation"][task.name]
      self.assertCountEqual(
          [f"{task.name}/{name}" for name in found],
          [name for name in outline.metric_names(experiment)
           if name.startswith(f"{task.name}/")])
      self.assertTrue(np.isfinite(found["loss"]), (task.name, found))
    for fragment in fragments:
      self.assertRegex(log, IN_LOG.get(fragment.title, "."))
    self.assertTrue(os.path.isdir(result.export_path))

  @parameterized.parameters(
      [cells] for cells in (page.table("source")[:3],
                            page.table("source")[3:]))
  def test_sources_hold_the_same_rows(self, cells):
    experiment = quick(page.merged())
    for split, cell in zip(("train", "validation", "test"), cells):
      if "parquet" in cell and not importlib.util.find_spec("pyarrow"):
        cell = "csv { path: 'shop/shop.csv' }"
      source = getattr(experiment.data, split)
      source.Clear()
      text_format.Parse(cell, source)
    result, log = self.train(experiment)
    self.assertIn("rows: train 600, validation 600, test 600", log)
    for task, found in result.metrics["validation"].items():
      # Other orders of rows add up to other last bits.
      np.testing.assert_allclose(
          list(found.values()), list(result.metrics["test"][task].values()),
          rtol=1e-6)

  def test_tables_of_training_run_in_one_network(self):
    experiment = quick(page.merged())
    training, trunk = experiment.training, experiment.model.hard_sharing.trunk
    del trunk.layer[:]
    cells = page.table("optimizer") + [
        f"adam {{ learning_rate {{ {cell} }} }}"
        for cell in page.table("learning_rate")]
    starts = itertools.cycle(page.table("initializer"))
    for i, cell in enumerate(cells):
      text_format.Parse(
          f"units: 4 activation: TANH initializer {{ {next(starts)} }}",
          trunk.layer.add().dense)
      group = training.group.add(
          name=f"group{i}", scope=["trunk/dense" + (f"_{i}" if i else "")])
      text_format.Parse(cell, group.optimizer)
    training.group.add(name="rest", scope=["embedding", "tower", "head"])
    self.assertLess(len(page.table("initializer")), len(cells))
    self.assertTrue(np.isfinite(
        self.train(experiment)[0].metrics["validation"]["spent"]["loss"]))

  @parameterized.parameters(*page.table("sharing"))
  def test_every_way_to_share_runs(self, cell):
    experiment = quick(page.merged())
    experiment.model.ClearField("hard_sharing")
    text_format.Merge(cell, experiment.model)
    result, _ = self.train(experiment)
    self.assertTrue(os.path.isdir(result.export_path))

  @parameterized.named_parameters(
      (f"{i}_{block.title}", block)
      for i, block in enumerate(page.blocks("sh")[1:]))
  def test_commands_run(self, block):
    run_commands(block)
    CHECKS[block.title](self)

  @parameterized.named_parameters(
      (f"{i}_{block.title}", block)
      for i, block in enumerate(page.blocks("python")) if not block.saved)
  def test_python_runs(self, block):
    if "pandas" in block.text and not importlib.util.find_spec("pandas"):
      self.skipTest("pandas is not installed")
    with contextlib.redirect_stdout(io.StringIO()) as output:
      # The page's own code.
      exec(compile(block.text, block.title, "exec"), {})
    self.assertNotEmpty(output.getvalue())


if __name__ == "__main__":
  absltest.main()
