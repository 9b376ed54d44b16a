"""Tests that what is wrong with an export is found, rule by rule."""

import os
import shutil
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import tensorflow.compat.v1 as tf

from mtl_graph.serving import contract
from mtl_graph.serving import lean_graph
from tests.serving import rich_export


def _node(graph, op):
  """Returns the first node of a kind."""
  return next(node for node in graph.node if node.op == op)


def _add(graph, op, **attributes):
  """Adds a node that nothing reads."""
  node = graph.node.add(name="added", op=op)
  for name, value in attributes.items():
    node.attr[name].CopyFrom(tf.AttrValue(**value))
  return node


def _rename(infos, old, new):
  infos[new].CopyFrom(infos[old])
  del infos[old]


def _tag(meta, path):
  del path
  meta.meta_info_def.tags[0] = "train"


def _device(meta, path):
  del path
  _node(meta.graph_def, "MatMul").device = "/job:worker/task:0"


def _default_attribute(meta, path):
  del path
  _node(meta.graph_def, "MatMul").attr["transpose_a"].b = False


def _attributes_not_stripped(meta, path):
  del path
  meta.meta_info_def.stripped_default_attrs = False


def _training_op(meta, path):
  del path
  shape = _node(meta.graph_def, "Shape").name
  _add(meta.graph_def, "RandomUniform", dtype={"type": 1},
       T={"type": 3}).input.append(shape)


def _risky_op(meta, path):
  del path
  _add(meta.graph_def, "ReadFile").input.append(
      _node(meta.graph_def, "MergeV2Checkpoints").input[1])


def _no_main_op(meta, path):
  del path
  meta.collection_def.pop("saved_model_main_op", None)
  meta.signature_def.pop("__saved_model_init_op", None)


def _no_asset(meta, path):
  asset = lean_graph.assets(meta)[0]
  os.remove(os.path.join(path, "assets", asset.filename))


def _classify_input(meta, path):
  del path
  _rename(meta.signature_def["kind"].inputs, "inputs", "examples")


def _classify_output(meta, path):
  del path
  signature = meta.signature_def["kind"]
  signature.outputs["logits"].CopyFrom(signature.outputs["scores"])


def _classify_type(meta, path):
  del path
  outputs = meta.signature_def["kind"].outputs
  outputs["classes"].CopyFrom(outputs["scores"])


def _regress_output(meta, path):
  del path
  _rename(meta.signature_def["delay"].outputs, "outputs", "value")


def _regress_width(meta, path):
  del path
  meta.signature_def["delay"].outputs["outputs"].CopyFrom(
      meta.signature_def["predict_examples"].outputs["place/value"])


def _another_input(meta, path):
  del path
  meta.signature_def["late"].inputs["inputs"].CopyFrom(
      meta.signature_def["serving_default"].inputs["city"])


def _fixed_rows(meta, path):
  del path
  meta.signature_def["serving_default"].inputs["amount"].tensor_shape.dim[
      0].size = 32


def _scalar(meta, path):
  del path
  node = _node(meta.graph_def, "MergeV2Checkpoints").input[1].partition(":")[0]
  info = meta.signature_def["predict_examples"].outputs["late/logit"]
  info.name, info.dtype = f"{node}:0", tf.string.as_datatype_enum
  info.tensor_shape.ClearField("dim")


def _no_method(meta, path):
  del path
  meta.signature_def["serving_default"].method_name = ""


def _no_default_signature(meta, path):
  del path
  _rename(meta.signature_def, "serving_default", "predict")


def _default_signature_of_examples(meta, path):
  del path
  meta.signature_def["serving_default"].CopyFrom(
      meta.signature_def["predict_examples"])


def _default_rows(meta, path):
  del path
  meta.signature_def["serving_default"].defaults["city"].tensor_shape.dim[
      0].size = 2


def _no_tensor(meta, path):
  del path
  meta.signature_def["late"].outputs["scores"].name = "gone:0"


def _another_type(meta, path):
  del path
  meta.signature_def["serving_default"].inputs["amount"].dtype = (
      tf.float64.as_datatype_enum)


def _variable_of_training(meta, path):
  """Writes one more variable, and a graph that reads it, so only it is wrong.
  """
  prefix = os.path.join(path, "variables", "variables")
  values = {name: tf.train.load_variable(prefix, name)
            for name, _ in tf.train.list_variables(prefix)}
  values["optimizer/shared/beta1_power"] = 0.9
  with tf.Graph().as_default(), tf.Session() as session:
    variables = [tf.get_variable(name, initializer=tf.constant(value))
                 for name, value in values.items()]
    session.run(tf.global_variables_initializer())
    tf.train.Saver(variables).save(session, prefix, write_meta_graph=False,
                                   write_state=False)
  _add(meta.graph_def, "VarHandleOp", dtype={"type": 1},
       shape={"shape": tf.TensorShape([]).as_proto()},
       shared_name={"s": b"optimizer/shared/beta1_power"})


def _no_variable(meta, path):
  del path
  _add(meta.graph_def, "VarHandleOp", dtype={"type": 1},
       shape={"shape": tf.TensorShape([]).as_proto()},
       shared_name={"s": b"head/other/bias"})


def _batching(meta, path):
  del meta
  with open(os.path.join(path, "assets.extra", "batching_params.pbtxt"), "wb"):
    pass


def _too_much_warmup(meta, path):
  del meta
  with tf.io.TFRecordWriter(os.path.join(
      path, "assets.extra", "tf_serving_warmup_requests")) as writer:
    for _ in range(1001):
      writer.write(b"")


def _no_experiment(meta, path):
  del meta
  os.remove(os.path.join(path, "assets.extra", "experiment.pbtxt"))


_DEFAULT = "signature 'serving_default'"
_BROKEN = (
    (_tag, r"tags: found \[\['train'\]\]; allowed: one graph tagged 'serve'"),
    (_device, "node '.*': found device '/job:worker/task:0'; allowed: none"),
    (_default_attribute, "node '.*': found attribute 'transpose_a' at its def"),
    (_attributes_not_stripped, "meta_info_def.stripped_default_attrs: found f"),
    (_training_op, "node 'added': found op RandomUniform; allowed: no op of tr"),
    (_risky_op, "node 'added': found op ReadFile; allowed: ops that stay"),
    (_no_main_op, r"table '.*': found nothing that fills it in the main op \(n"),
    (_no_asset, "assets/.*.txt: found no file; allowed: the asset"),
    (_classify_input, r"signature 'kind': found inputs \['examples'\]; allowed"),
    (_classify_output, r"signature 'kind': found outputs \['classes', 'logits'"),
    (_classify_type, r"signature 'kind'.outputs\['classes'\]: found float32 "
     r"\(None, 3\); allowed: string \[B, C\]"),
    (_regress_output, r"signature 'delay': found outputs \['value'\]; allowed"),
    (_regress_width, r"signature 'delay'.outputs\['outputs'\]: found shape "
     r"\(None, 2\); allowed: \[B\] or \[B, 1\]"),
    (_another_input, "signatures: found 'inputs' to be 'city:0' of late and "
     "'serialized_examples:0' of delay, .*; allowed: one tensor"),
    (_fixed_rows, _DEFAULT + r".inputs\['amount'\]: found shape \(32,\)"),
    (_scalar, r"signature 'predict_examples'.outputs\['late/logit'\]: found a s"),
    (_no_method, _DEFAULT + ": found method_name ''; allowed: tensorflow/serv"),
    (_no_default_signature, "signatures: found no 'serving_default'; allowed"),
    (_default_signature_of_examples, _DEFAULT + r".inputs\['inputs'\]: found "
     "serialized examples; allowed: raw tensors"),
    (_default_rows, _DEFAULT + r".defaults\['city'\]: found string \(2,\); all"),
    (_no_tensor, r"signature 'late'.outputs\['scores'\]: found no tensor 'gone"),
    (_another_type, _DEFAULT + r".inputs\['amount'\]: found float64, where t"),
    (_variable_of_training, "variable 'optimizer/shared/beta1_power': found it "
     "on disk; allowed: none of training"),
    (_no_variable, "variable 'head/other/bias': found it in the graph alone"),
    (_batching, "assets.extra/batching_params.pbtxt: found it there; allowed"),
    (_too_much_warmup, ".*warmup_requests: found 1001 records; allowed: at most"),
    (_no_experiment, "assets.extra/experiment.pbtxt: cannot be read: "),
)


class ContractTest(parameterized.TestCase):

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls._folder = cls.enterClassContext(tempfile.TemporaryDirectory())
    cls._export = rich_export.train(cls._folder,
                                    "training.num_steps=1").export_path

  def _copy(self, name="1"):
    folder = self.enter_context(tempfile.TemporaryDirectory())
    return shutil.copytree(self._export, os.path.join(folder, name))

  def test_nothing_is_wrong_with_an_export(self):
    self.assertEmpty(contract.problems(self._export))

  @parameterized.named_parameters(
      (broken.__name__.strip("_"), broken, line) for broken, line in _BROKEN)
  def test_found(self, broken, line):
    path = self._copy()
    saved_model = lean_graph.read(path)
    broken(saved_model.meta_graphs[0], path)
    lean_graph.write(saved_model, path)
    found = contract.problems(path)
    self.assertNotEmpty(found)
    for problem in found:  # And nothing else.
      self.assertRegex(problem, f"^{line}")
      self.assertNotIn("\n", problem)

  @parameterized.parameters("0123", "v1", "-1", "9223372036854775808")
  def test_a_version_is_a_plain_number(self, name):
    path = self._copy(name)
    self.assertEqual(contract.problems(path), [
        f"version: found '{name}'; allowed: a whole number that fits 64 bits, "
        "without leading zeros"])
    self.assertEmpty(contract.problems(path, is_published=False))

  def test_no_saved_model(self):
    path = self._copy()
    with open(os.path.join(path, "saved_model.pb"), "wb") as file:
      file.write(b"junk")
    problem, = contract.problems(path)
    self.assertRegex(problem, "^saved_model.pb: cannot be read: .*; allowed: a ")


if __name__ == "__main__":
  absltest.main()
