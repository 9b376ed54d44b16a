"""Tests of the names an experiment gives rise to."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format

from mtl_graph import config
from mtl_graph import outline
from mtl_graph.protos import features_pb2
from mtl_graph.protos import model_pb2

# graphs_test checks that the graph built has exactly these names and shapes.
_EXPERIMENT = """
data {
  feature { name: "x" numeric { size: 2 } }
  feature { name: "c" categorical { num_buckets: 5 embedding_dimension: 3 } }
  feature { name: "v" categorical { vocabulary: ["p", "q"]
                                    embedding_dimension: 1 } }
}
model {
  hard_sharing { trunk {
    layer { dense { units: 4 } } layer { dropout { rate: 0.5 } }
    layer { dense { units: 8 use_bias: false } }
  } }
  task { name: "b" regression {} tower { layer { dense { units: 3 } } }
         estimate { task: "a" form: PROBABILITY }
         estimate { task: "m" form: LOGIT } }
  task { name: "a" binary {} }
  task { name: "m" multiclass { num_classes: 6 } }
}
"""


class BuildTest(absltest.TestCase):

  def test_variables_in_order_of_creation(self):
    found = outline.build(config.parse(_EXPERIMENT)).variables
    self.assertEqual(list(found.items()), [
        ("embedding/c/embeddings", [6, 3]), ("embedding/v/embeddings", [3, 1]),
        ("trunk/dense/kernel", [6, 4]), ("trunk/dense/bias", [4]),
        ("trunk/dense_1/kernel", [4, 8]), ("head/a/kernel", [8, 1]),
        ("head/a/bias", [1]), ("head/m/kernel", [8, 6]), ("head/m/bias", [6]),
        ("tower/b/dense/kernel", [15, 3]), ("tower/b/dense/bias", [3]),
        ("head/b/kernel", [3, 1]), ("head/b/bias", [1])])

  def test_tensors_that_can_be_held(self):
    found = outline.build(config.parse(_EXPERIMENT)).tensors
    self.assertEqual(dict(found), {
        "embedding/c": (3,), "embedding/v": (1,), "trunk/dense": (4,),
        "trunk/dropout": (4,), "trunk/dense_1": (8,), "head/a": (1,),
        "head/m": (6,), "tower/b/dense": (3,), "head/b": (1,)})

  def test_uncertainty_adds_log_variances_in_the_tasks_order(self):
    experiment = config.parse(_EXPERIMENT)
    config.override(experiment, "training.joint.loss.uncertainty={}")
    plain = outline.build(config.parse(_EXPERIMENT)).variables
    found = outline.build(experiment).variables
    self.assertEqual(list(found), list(plain) + [
        "log_variance/b", "log_variance/a", "log_variance/m"])
    self.assertEqual(found["log_variance/a"], [])

  def test_goes_through_nonsense_as_far_as_it_makes_sense(self):
    found = outline.build(config.parse("""
        data { feature {} feature { name: "c" categorical {
          vocabulary_file: "/does/not/exist" embedding_dimension: 2 } } }
        model {
          hard_sharing { trunk { layer {} layer {} } }
          task { name: "a" estimate { task: "nobody" form: LOGIT } }
          task { name: "b" binary {} estimate { task: "c" form: VALUE } }
          task { name: "c" regression {} estimate { task: "b" } }
        }"""))
    self.assertEqual(found.variables["embedding/c/embeddings"], [1, 2])
    # What has no kind has no width.
    self.assertEqual(found.variables["head/a/kernel"], [2, 1])
    self.assertIn("head/c/kernel", found.variables)
    self.assertContainsSubset(["trunk/layer", "trunk/layer_1"], found.tensors)

  def test_empty_experiment(self):
    found = outline.build(config.parse(""))
    self.assertEqual([dict(part) for part in found],
                     [{}, {}, {}, {}])


def _outline(features, rest="task { name: 'a' binary {} }"):
  """Returns an outline and the problems on the way."""
  problems = []
  found = outline.build(
      config.parse(f"data {{ {features} }} model {{ {rest} }}"),
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return found, problems


class FeaturesTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("numeric", "numeric { size: 3 }", (3,)),
      ("image", "image { height: 4 width: 5 channels: 2 }", (4, 5, 2)),
      ("gray_image", "image { height: 4 width: 5 }", (4, 5, 1)),
      ("embedding", "categorical { num_buckets: 5 embedding_dimension: 3 }",
       (3,)),
      ("one_hot", "categorical { boundary: [0, 1] one_hot {} }", (4,)),
      ("multi_hot", "categorical { vocabulary: ['a', 'b'] multi_hot {} "
       "values { max_values: 9 } }", (3,)),
      ("set", "categorical { hash_buckets: 5 embedding_dimension: 2 "
       "values { max_values: 9 combiner: MAX } }", (2,)),
      ("lstm", "categorical { hash_buckets: 5 embedding_dimension: 2 "
       "values { max_values: 9 lstm { units: 7 } } }", (7,)),
      ("gru_of_one_hot", "categorical { hash_buckets: 5 one_hot {} "
       "values { max_values: 9 gru { units: 7 } } }", (7,)),
      ("cross", "cross { hash_buckets: 5 embedding_dimension: 2 }", (2,)),
      ("one_hot_cross", "cross { hash_buckets: 5 one_hot {} }", (5,)),
      ("nothing", "", (0,)),
  )
  def test_shape(self, kind, expected):
    feature = text_format.Parse(kind, features_pb2.Feature())
    self.assertEqual(outline.feature_shape(feature), expected)

  def test_a_cross_has_no_unknown_category(self):
    for kind, rows in (("cross { hash_buckets: 5 }", 5),
                       ("categorical { hash_buckets: 5 }", 6)):
      feature = text_format.Parse(kind, features_pb2.Feature())
      self.assertEqual(outline.table_rows(feature), rows)

  def test_variables_of_every_kind(self):
    found, problems = _outline("""
        feature { name: "n" numeric { size: 2 } use: WIDE_AND_DEEP }
        feature { name: "o" categorical { num_buckets: 3 one_hot {} } }
        feature { name: "w" categorical { num_buckets: 3 } use: WIDE }
        feature { name: "c" categorical { num_buckets: 3 } use: CROSS_ONLY }
        feature { name: "x" cross { feature: "w" feature: "c" hash_buckets: 7
                                    embedding_dimension: 2
                                    regularization { l1: 3 } }
                  use: WIDE_AND_DEEP }
        feature { name: "s" categorical {
            hash_buckets: 4 embedding_dimension: 5
            values { max_values: 3 lstm { units: 2 } } } }
        feature { name: "g" categorical {
            boundary: 1 one_hot {} values { max_values: 3 gru { units: 2 } } }
          encoder { layer { dense { units: 6 use_bias: false
                                    regularization { l2: 1 } } } } }
        """, "task { name: 'a' binary {} } task { name: 'o' "
        "ordinal { num_classes: 4 } }")
    self.assertEmpty(problems)
    self.assertEqual(list(found.variables.items()), [
        ("embedding/x/embeddings", [7, 2]), ("embedding/s/embeddings", [5, 5]),
        ("embedding/s/lstm/kernel", [7, 8]), ("embedding/s/lstm/bias", [8]),
        ("embedding/g/gru/gates/kernel", [5, 4]),
        ("embedding/g/gru/gates/bias", [4]),
        ("embedding/g/gru/candidate/kernel", [5, 2]),
        ("embedding/g/gru/candidate/bias", [2]),
        ("encoder/g/dense/kernel", [2, 6]),
        ("head/a/kernel", [2 + 4 + 2 + 2 + 6, 1]), ("head/a/bias", [1]),
        ("wide/a/n/weights", [2, 1]), ("wide/a/w/weights", [4, 1]),
        ("wide/a/x/weights", [7, 1]),
        ("head/o/kernel", [16, 1]), ("wide/o/n/weights", [2, 1]),
        ("wide/o/w/weights", [4, 1]), ("wide/o/x/weights", [7, 1]),
        ("head/o/thresholds", [3])])
    self.assertEqual({name: (p.l1, p.l2)
                      for name, p in found.penalties.items()},
                     {"embedding/x/embeddings": (3, 0),
                      "encoder/g/dense/kernel": (0, 1)})
    self.assertEqual(dict(found.tensors), {
        "embedding/x": (2,), "embedding/s": (2,), "encoder/g/dense": (6,),
        "head/a": (1,), "head/o": (3,)})

  def test_a_shared_table_comes_once(self):
    found, _ = _outline("".join(f"""
        feature {{ name: "{name}" categorical {{
            num_buckets: 3 embedding_dimension: 2 shared_embedding: "t" }} }}
        """ for name in "cd"))
    self.assertEqual(list(found.variables.items()), [
        ("embedding/t/embeddings", [4, 2]), ("head/a/kernel", [4, 1]),
        ("head/a/bias", [1])])
    self.assertContainsSubset(["embedding/c", "embedding/d"], found.tensors)

  def test_images_beside_each_other(self):
    image = "feature { name: '%s' image { height: 4 width: %d channels: %d } }"
    for trunk, kernel in (("flatten {}", [4 * 6 * 3, 1]),
                          ("global_max_pooling {}", [3, 1])):
      found, problems = _outline(
          image % ("i", 6, 1) + image % ("j", 6, 2),
          f"hard_sharing {{ trunk {{ layer {{ {trunk} }} }} }} "
          "task { name: 'a' binary {} }")
      self.assertEmpty(problems)
      self.assertEqual(found.variables["head/a/kernel"], kernel)

  @parameterized.named_parameters(
      ("image_beside_number", "feature { name: 'n' numeric {} } "
       "feature { name: 'i' image { height: 2 width: 3 } }",
       "found 2 x 3 x 1 beside 1 numbers"),
      ("images_of_two_sizes",
       "feature { name: 'j' image { height: 2 width: 2 } } "
       "feature { name: 'i' image { height: 2 width: 3 } }",
       "found 2 x 3 x 1 beside 2 x 2 x 1"))
  def test_images_that_do_not_fit(self, features, found):
    self.assertEqual(_outline(features)[1], [
        f"data.feature[1]: {found}; allowed: features that are all vectors, or "
        "all images of one size, as an encoder with flatten or global pooling "
        "makes them"])


class TasksTest(parameterized.TestCase):

  @parameterized.parameters(
      ("regression {}", 1, 1), ("binary {}", 1, 1), ("", 1, 1),
      ("regression { size: 3 }", 3, 3), ("count {}", 1, 1),
      ("multiclass { num_classes: 4 }", 4, 1), ("multiclass {}", 0, 1),
      ("multiclass { vocabulary: ['a', 'b'] }", 2, 1),
      ("multilabel { num_labels: 4 }", 4, 4),
      ("multilabel { vocabulary: ['a', 'b'] }", 2, 2),
      ("ordinal { num_classes: 4 }", 3, 1), ("ordinal {}", 0, 1),
      ("quantiles { level: 0.1 level: 0.9 }", 2, 1))
  def test_widths_of_logits_and_labels(self, text, logits, labels):
    task = text_format.Parse(text, model_pb2.Task())
    self.assertEqual(outline.logit_count(task), logits)
    self.assertEqual(outline.label_width(task), labels)

  @parameterized.parameters(
      ("binary {}", 2), ("multiclass { num_classes: 4 }", 4),
      ("ordinal { vocabulary: ['a', 'b', 'c'] }", 3), ("regression {}", 0),
      ("multilabel { num_labels: 4 }", 0), ("count {}", 0), ("", 0))
  def test_class_count(self, text, expected):
    self.assertEqual(outline.class_count(text_format.Parse(
        text, model_pb2.Task())), expected)

  def test_label_slices_follow_each_other(self):
    tasks = config.parse("""model {
        task { name: "b" regression { size: 3 } } task { name: "a" binary {} }
        task { name: "c" multilabel { num_labels: 2 } } }""").model.task
    self.assertEqual(list(outline.label_slices(tasks).items()), [
        ("b", slice(0, 3)), ("a", slice(3, 4)), ("c", slice(4, 6))])

  @parameterized.parameters(
      ("binary {}", "PROBABILITY", 1), ("binary {}", "LOGIT", 1),
      ("multiclass { num_classes: 4 }", "PROBABILITY", 4),
      ("multiclass { num_classes: 4 }", "LOGIT", 4),
      ("multilabel { num_labels: 4 }", "PROBABILITY", 4),
      ("multilabel { num_labels: 4 }", "LOGIT", 4),
      ("ordinal { num_classes: 4 }", "PROBABILITY", 4),
      ("ordinal { num_classes: 4 }", "LOGIT", 3),
      ("regression { size: 2 }", "VALUE", 2), ("count {}", "VALUE", 1),
      ("quantiles { level: [0.2, 0.4, 0.6] }", "VALUE", 3),
      ("quantiles { level: 0.2 }", "LOGIT", 0), ("", "LOGIT", 0))
  def test_widths_of_estimates(self, head, form, width):
    found, _ = _outline("feature { name: 'n' numeric { size: 5 } }", f"""
        task {{ name: "a" {head} }}
        task {{ name: "b" binary {{}} estimate {{ task: "a" form: {form} }} }}
        """)
    self.assertEqual(found.variables["head/b/kernel"], [5 + width, 1])

  def test_images_before_a_head_or_beside_an_estimate(self):
    _, problems = _outline(
        "feature { name: 'i' image { height: 2 width: 3 } }", """
        task { name: "a" binary {} } task { name: "b" binary {}
          tower { layer { flatten {} } } estimate { task: "a" form: LOGIT } }
        """)
    self.assertEqual(problems[0], (
        "model.task[0]: found an image of 2 x 3 x 1 before the head; allowed: a"
        " vector, as flatten or global pooling makes it"))
    self.assertEqual(problems[1], (
        "model.task[1].estimate: found it beside an image of 2 x 3 x 1; "
        "allowed: where the shared part ends in a vector"))

  def test_layers_without_anything_to_read(self):
    wide = "feature { name: 'c' categorical { num_buckets: 3 } use: WIDE }"
    tower = "tower { layer { dense { units: 2 } } }"
    found, problems = _outline(wide, f"""
        hard_sharing {{ trunk {{ layer {{ dense {{ units: 2 }} }} }} }}
        task {{ name: "a" binary {{}} {tower} }}
        task {{ name: "b" binary {{}} {tower}
                estimate {{ task: "a" form: LOGIT }} }}""")
    ending = (": found layers that have nothing to read, as no feature is in "
              "the deep part; allowed: none")
    self.assertEqual(problems, [f"model.hard_sharing.trunk{ending}",
                                f"model.task[0].tower{ending}"])
    found, problems = _outline(wide, f"""
        task {{ name: "a" binary {{}} }}
        task {{ name: "b" binary {{}} {tower}
                estimate {{ task: "a" form: LOGIT }} }}""")
    self.assertEmpty(problems)
    self.assertEqual(found.variables["head/a/kernel"], [0, 1])
    self.assertEqual(found.variables["tower/b/dense/kernel"], [1, 2])


class MetricNamesTest(parameterized.TestCase):

  def test_every_head_has_metrics_and_forms(self):
    heads = [field.name for field in
             model_pb2.Task.DESCRIPTOR.oneofs_by_name["head"].fields]
    self.assertCountEqual(outline.METRICS, heads)
    self.assertCountEqual(outline.ESTIMATE_FORMS, heads)
    for metrics in outline.METRICS.values():
      self.assertEqual(metrics[0], "loss")

  def test_names_are_scoped_by_task(self):
    experiment = config.parse('model { task { name: "a" regression {} } '
                              'task { name: "b" binary {} } task { name: "c" } '
                              '}')
    self.assertEqual(outline.metric_names(experiment), [
        "a/loss", "a/rmse", "a/mae", "a/r2", "a/normalized_mse", "b/loss",
        "b/auc", "b/pr_auc", "b/log_loss", "b/accuracy", "b/precision",
        "b/recall", "b/f1", "b/calibration"])

  def test_tasks_without_a_label_have_none(self):
    experiment = config.parse(
        'model { task { name: "a" count {} no_loss: true } task { name: "b" '
        'multiclass {} no_loss: true label {} } }')
    self.assertEqual(outline.metric_names(experiment),
                     ["b/loss", "b/log_loss", "b/accuracy", "b/f1"])

  @parameterized.named_parameters(
      ("binary", "binary {}", "threshold: [0.25, 0.5] k: [3, 10] "
       "group_column: 'u' confusion_matrix: true",
       ["precision_at_0.25", "recall_at_0.25", "precision_at_0.5",
        "recall_at_0.5", "precision_at_top_3", "recall_at_top_3",
        "precision_at_top_10", "recall_at_top_10", "grouped_auc"]),
      ("multiclass", "multiclass { num_classes: 3 }", "k: [1, 2]",
       ["top_1_accuracy", "top_2_accuracy"]),
      ("regression", "regression {}", "quantile: [0.05, 0.5]",
       ["quantile_loss_0.05", "quantile_loss_0.5"]),
      ("ordinal", "ordinal { num_classes: 3 }", "confusion_matrix: true", []))
  def test_further_metrics(self, head, metrics, expected):
    experiment = config.parse(
        f'model {{ task {{ name: "a" {head} }} }} '
        f'evaluation {{ task_metrics {{ task: "a" {metrics} }} '
        'task_metrics { task: "b" k: 1 } }')
    kind = experiment.model.task[0].WhichOneof("head")
    self.assertEqual(
        outline.metric_names(experiment),
        [f"a/{name}" for name in (*outline.METRICS[kind], *expected)])


if __name__ == "__main__":
  absltest.main()
