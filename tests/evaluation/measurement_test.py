"""Tests of measuring predictions: tasks, further metrics, slices, classes."""

import collections

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
from scipy import special
from sklearn import metrics as sklearn_metrics

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.data import batches
from mtl_graph.evaluation import measurement

_EXPERIMENT = config.parse("""
  model {
    task { name: "vector" regression { size: 2 } }
    task { name: "yes" binary {} }
    task { name: "kind" multiclass { vocabulary: ["a", "b", "c"] } }
    task { name: "tags" multilabel { num_labels: 3 } }
    task { name: "value" regression {} }
    task { name: "events" count {} }
    task { name: "level" ordinal { num_classes: 4 } }
    task { name: "range" quantiles { level: [0.1, 0.9] } }
  }
  evaluation {
    task_metrics { task: "yes" threshold: [0.5, 0.25] k: [5, 100]
                   group_column: "user" confusion_matrix: true }
    task_metrics { task: "kind" k: 2 confusion_matrix: true }
    task_metrics { task: "value" quantile: [0.1, 0.5] }
    task_metrics { task: "vector" quantile: 0.5 }
    task_metrics { task: "level" confusion_matrix: true }
    slice { column: "city" }
    slice { column: "user" max_values: 2 }
  }""")
_TASKS = [task.name for task in _EXPERIMENT.model.task]
_ROWS = 60
_RANDOM = np.random.default_rng(0)


def _made():
  """Returns a batch, predictions, losses by row and columns of groups."""
  random = _RANDOM
  weights = random.integers(0, 3, [_ROWS, len(_TASKS)]).astype(np.float32)
  vector = random.normal(size=[_ROWS, 2])
  vector[::3, 1] = np.nan
  tags = random.integers(0, 2, [_ROWS, 3]).astype(float)
  tags[::4, 0] = np.nan
  value = random.normal(size=_ROWS)
  labels = np.concatenate([
      vector, random.integers(0, 2, [_ROWS, 1]),
      random.integers(0, 3, [_ROWS, 1]), tags, value[:, None],
      random.poisson(2, [_ROWS, 1]), random.integers(0, 4, [_ROWS, 1]),
      value[:, None]], 1).astype(np.float32)
  logits = {name: random.normal(size=[_ROWS, width]).astype(np.float32)
            for name, width in (("yes", 1), ("kind", 3), ("tags", 3))}
  level = random.dirichlet(np.ones(4), _ROWS)
  predictions = {
      "vector": {"value": random.normal(size=[_ROWS, 2])},
      "yes": {"logit": logits["yes"][:, 0],
              "probability": special.expit(logits["yes"][:, 0])},
      "kind": {"logits": logits["kind"],
               "probabilities": special.softmax(logits["kind"], 1),
               "class": logits["kind"].argmax(1)},
      "tags": {"logits": logits["tags"],
               "probabilities": special.expit(logits["tags"]),
               "class": logits["tags"].argmax(1)},
      "value": {"value": random.normal(size=_ROWS)},
      "events": {"rate": random.exponential(2, _ROWS)},
      "level": {"probabilities": level, "logits": np.zeros([_ROWS, 3]),
                "class": level.argmax(1)},
      "range": {"quantiles": np.sort(random.normal(size=[_ROWS, 2]))},
  }
  batch = batches.Batch(None, None, np.where(
      np.repeat(weights > 0, [2, 1, 1, 3, 1, 1, 1, 1], 1), labels, 0), weights)
  groups = {"city": random.choice(["oslo", "bern", ""], _ROWS, p=[.5, .3, .2]
                                 ).astype(object),
            "user": random.choice(["u", "v", "w"], _ROWS).astype(object)}
  return (batch, predictions,
          random.exponential(1, [_ROWS, len(_TASKS)]).astype(np.float32),
          groups)


_BATCH, _PREDICTIONS, _LOSSES, _GROUPS = _made()
_ARGUMENTS = (_EXPERIMENT, _BATCH, _PREDICTIONS, _LOSSES, _GROUPS)


def _of(task, array=None, chosen=True):
  """Returns labels, what is given of them, and weights of the rows that count.
  """
  weights = _BATCH.weights[:, _TASKS.index(task)]
  rows = (weights > 0) & chosen
  labels = _BATCH.labels[:, outline.label_slices(_EXPERIMENT.model.task)[task]]
  return (np.squeeze(labels[rows].astype(np.float64)),
          None if array is None else array[rows].astype(np.float64),
          weights[rows].astype(np.float64))


class TasksTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._found = measurement.tasks(*_ARGUMENTS)

  def _check(self, task, **expected):
    for name, value in expected.items():
      self.assertAlmostEqual(self._found[task][name], value, places=6, msg=name)

  def test_names_are_those_of_the_outline_in_its_order(self):
    self.assertEqual(list(self._found), _TASKS)
    self.assertEqual([f"{task}/{name}" for task, named in self._found.items()
                      for name in named], outline.metric_names(_EXPERIMENT))

  @parameterized.parameters(*_TASKS)
  def test_loss_is_the_weighted_mean_of_the_rows_losses(self, task):
    _, losses, weights = _of(task, _LOSSES[:, _TASKS.index(task)])
    self._check(task, loss=np.average(losses, weights=weights))

  def test_binary(self):
    labels, logits, weights = _of("yes", _PREDICTIONS["yes"]["logit"])
    p, weighted = special.expit(logits), {"sample_weight": weights}
    self._check(
        "yes", auc=sklearn_metrics.roc_auc_score(labels, p, **weighted),
        pr_auc=sklearn_metrics.average_precision_score(labels, p, **weighted),
        log_loss=sklearn_metrics.log_loss(labels, p, **weighted),
        recall=sklearn_metrics.recall_score(labels, p > 0.5, **weighted))

  def test_further_metrics_of_a_binary_task(self):
    labels, logits, weights = _of("yes", _PREDICTIONS["yes"]["logit"])
    p, found = special.expit(logits), self._found["yes"]
    for threshold in (0.5, 0.25):
      scores = sklearn_metrics.precision_recall_fscore_support(
          labels, p > threshold, sample_weight=weights, average="binary")
      self._check("yes", **{f"precision_at_{threshold:g}": scores[0],
                            f"recall_at_{threshold:g}": scores[1]})
    top = np.argsort(-p)[:5]
    self._check("yes",
                precision_at_top_5=np.average(labels[top], weights=weights[top]
                                             ),
                recall_at_top_5=np.sum((labels * weights)[top])
                / np.sum(labels * weights))
    # There are fewer rows than that.
    self._check("yes", recall_at_top_100=1.0)
    users = _GROUPS["user"][_BATCH.weights[:, _TASKS.index("yes")] > 0]
    areas = {user: sklearn_metrics.roc_auc_score(
        labels[users == user], p[users == user],
        sample_weight=weights[users == user]) for user in ("u", "v", "w")}
    self.assertAlmostEqual(found["grouped_auc"], np.average(
        list(areas.values()),
        weights=[weights[users == user].sum() for user in areas]))

  def test_multiclass(self):
    labels, p, weights = _of("kind", special.softmax(
        _PREDICTIONS["kind"]["logits"].astype(np.float64), 1))
    self._check(
        "kind", log_loss=sklearn_metrics.log_loss(labels, p,
                                                  sample_weight=weights),
        accuracy=sklearn_metrics.accuracy_score(labels, p.argmax(1),
                                                sample_weight=weights),
        top_2_accuracy=sklearn_metrics.top_k_accuracy_score(
            labels, p, k=2, sample_weight=weights))

  def test_multilabel_leaves_out_what_is_missing(self):
    labels, p, weights = _of("tags", special.expit(
        _PREDICTIONS["tags"]["logits"].astype(np.float64)))
    areas, right, total = [], 0.0, 0.0
    for c in range(3):
      there = ~np.isnan(labels[:, c])
      areas.append(sklearn_metrics.roc_auc_score(
          labels[there, c], p[there, c], sample_weight=weights[there]))
      right += np.sum(weights[there] * (
          labels[there, c] == (p[there, c] > 0.5)))
      total += weights[there].sum()
    self._check("tags", auc=np.mean(areas), accuracy=right / total)

  def test_numbers(self):
    labels, values, weights = _of("value", _PREDICTIONS["value"]["value"])
    residual = labels - values
    self._check(
        "value", r2=sklearn_metrics.r2_score(labels, values,
                                             sample_weight=weights),
        mae=np.average(np.abs(residual), weights=weights),
        **{f"quantile_loss_{q:g}": sklearn_metrics.mean_pinball_loss(
            labels, values, alpha=q, sample_weight=weights)
           for q in (0.1, 0.5)})

  def test_vectors_leave_out_what_is_missing(self):
    labels, values, weights = _of("vector", _PREDICTIONS["vector"]["value"])
    there = ~np.isnan(labels)
    each = np.repeat(weights[:, None], 2, 1)[there]
    errors = (values - labels)[there]
    self._check("vector", rmse=np.average(errors ** 2, weights=each) ** 0.5,
                mae=np.average(np.abs(errors), weights=each), **{
                    "quantile_loss_0.5": np.average(np.abs(errors),
                                                    weights=each) / 2})

  def test_counts(self):
    labels, rates, weights = _of("events", _PREDICTIONS["events"]["rate"])
    self._check(
        "events",
        poisson_deviance=sklearn_metrics.mean_poisson_deviance(
            labels, rates, sample_weight=weights),
        calibration=np.average(rates, weights=weights)
        / np.average(labels, weights=weights))

  def test_classes_in_order(self):
    labels, p, weights = _of("level", _PREDICTIONS["level"]["probabilities"])
    self._check("level", log_loss=sklearn_metrics.log_loss(
        labels, p, sample_weight=weights), kappa=(
            sklearn_metrics.cohen_kappa_score(
                labels, p.argmax(1), weights="quadratic",
                sample_weight=weights)),
                mae=np.average(np.abs(p.argmax(1) - labels), weights=weights))

  def test_quantiles(self):
    labels, values, weights = _of("range", _PREDICTIONS["range"]["quantiles"])
    self._check(
        "range", quantile_loss=np.mean([sklearn_metrics.mean_pinball_loss(
            labels, values[:, i], alpha=q, sample_weight=weights)
                                        for i, q in enumerate((0.1, 0.9))]),
        coverage=np.average((values[:, 0] <= labels)
                            & (labels <= values[:, 1]), weights=weights))

  def test_logits_that_float32_takes_for_certain_are_told_apart(self):
    logits = np.array([20, 21, 22, 19], np.float32)
    batch = batches.Batch(None, None, np.array([[0], [1], [1], [0]]),
                          np.ones([4, 1]))
    experiment = config.parse('model { task { name: "yes" binary {} } }')
    found = measurement.tasks(experiment, batch, {
        "yes": {"logit": logits, "probability": np.ones(4, np.float32)}},
                              np.zeros([4, 1]), {})
    self.assertEqual(found["yes"]["auc"], 1)

  def test_a_task_without_labels_has_no_metric(self):
    weights = _BATCH.weights * (np.array(_TASKS) != "kind")
    found = measurement.tasks(_EXPERIMENT, _BATCH._replace(weights=weights),
                              *_ARGUMENTS[2:])
    self.assertTrue(np.isnan(list(found["kind"].values())).all())
    del found["kind"]
    for task, named in found.items():
      np.testing.assert_equal(named, self._found[task])


class SlicesTest(absltest.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._found = measurement.slices_of(*_ARGUMENTS)

  def test_values_come_the_most_frequent_first_with_their_rows(self):
    self.assertEqual(list(self._found), ["city", "user"])
    for column, most in (("city", 3), ("user", 2)):
      counts = collections.Counter(_GROUPS[column]).most_common(most)
      self.assertEqual([(value, one.rows) for value, one in
                        self._found[column].items()], counts)

  def test_each_is_measured_as_if_it_were_alone(self):
    for value, one in self._found["city"].items():
      rows = _GROUPS["city"] == value
      alone = measurement.tasks(
          _EXPERIMENT, batches.Batch(None, None, _BATCH.labels[rows],
                                     _BATCH.weights[rows]),
          {task: {key: array[rows] for key, array in keyed.items()}
           for task, keyed in _PREDICTIONS.items()}, _LOSSES[rows],
          {name: column[rows] for name, column in _GROUPS.items()})
      np.testing.assert_equal(one.metrics, alone)
    labels, logits, weights = _of("yes", _PREDICTIONS["yes"]["logit"],
                                  _GROUPS["city"] == "oslo")
    self.assertAlmostEqual(
        self._found["city"]["oslo"].metrics["yes"]["auc"],
        sklearn_metrics.roc_auc_score(labels, logits, sample_weight=weights))

  def test_values_of_too_few_rows_are_left_out(self):
    experiment = config.parse("evaluation { slice { column: 'city' min_rows: "
                              f"{min(self._rows('city')) + 1} }} }}")
    experiment.model.CopyFrom(_EXPERIMENT.model)
    found = measurement.slices_of(experiment, *_ARGUMENTS[1:])
    self.assertLen(found["city"], 2)

  def _rows(self, column):
    return collections.Counter(_GROUPS[column]).values()

  def test_none_are_asked_for(self):
    self.assertEmpty(measurement.slices_of(config.parse(""), *_ARGUMENTS[1:]))


class ConfusionTest(absltest.TestCase):

  def test_equals_scikit_learns_matrix(self):
    found = measurement.confusions(*_ARGUMENTS[:3])
    self.assertEqual({task: one.classes for task, one in found.items()}, {
        "yes": ["0", "1"], "kind": ["a", "b", "c"],
        "level": ["0", "1", "2", "3"]})
    for task, predicted in (("yes", _PREDICTIONS["yes"]["logit"] > 0),
                            ("kind", _PREDICTIONS["kind"]["class"]),
                            ("level", _PREDICTIONS["level"]["class"])):
      labels, predicted, weights = _of(task, predicted)
      np.testing.assert_allclose(
          found[task].matrix, sklearn_metrics.confusion_matrix(
              labels, predicted, sample_weight=weights))

  def test_none_are_asked_for(self):
    experiment = config.parse("")
    experiment.model.CopyFrom(_EXPERIMENT.model)
    self.assertEmpty(measurement.confusions(experiment, *_ARGUMENTS[1:3]))


if __name__ == "__main__":
  absltest.main()
