"""Tests that no graph of old, however broken, ends in more than one line."""

import os
import random
import shutil
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf
from tensorflow.core.protobuf import saved_model_pb2

from tests.porting import old_graphs
from tests.tools import to_saved_model_test

_SIGNATURE = "serving_default: x=x:0 -> y=y:0"


def setUpModule():
  global _folder, _old, _table
  _folder = tempfile.TemporaryDirectory()
  _old, _table = (old_graphs.save(kind, os.path.join(_folder.name, kind))
                  for kind in ("batch_norm", "lookup"))


def tearDownModule():
  _folder.cleanup()


def small():
  """Returns a graph y = x w, whose parts tests break."""
  with tf.Graph().as_default() as graph:
    x = tf.placeholder(tf.float32, [None, 2], "x")
    w = tf.constant(np.ones([2, 3], np.float32), name="w")
    tf.matmul(x, w, name="y")
  graph_def = graph.as_graph_def()
  return graph_def, {node.name: node for node in graph_def.node}


def _cycle(graph, nodes):
  graph.node.add(name="z", op="Identity", input=["y"])
  graph.node[-1].attr["T"].type = tf.float32.as_datatype_enum
  nodes["y"].input[0] = "z"


def _loop_of_functions(graph, nodes):
  for name, other in (("f", "g"), ("g", "f")):
    function = graph.library.function.add()
    function.signature.name = name
    function.node_def.add(name="n", op=other)
  nodes["y"].op = "f"


def _shape(value, *sizes):
  del value.dim[:]
  for size in sizes:
    value.dim.add(size=size)


def _op(op, *inputs, **attributes):
  """Returns what puts another op in the place of the input of y."""
  def change(graph, nodes):
    graph.node.add(name="odd", op=op, input=inputs)
    for name, value in attributes.items():
      graph.node[-1].attr[name].CopyFrom(value)
    nodes["y"].input[1] = "odd"
  return change


def _fill(graph, nodes):
  for name, value in (("dims", np.int64([2, 2**40])), ("zero", np.float32(0))):
    node = graph.node.add(name=name, op="Const")
    node.attr["dtype"].type = tf.as_dtype(value.dtype).as_datatype_enum
    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
  _op("Fill", "dims", "zero", T=_FLOAT,
      index_type=tf.AttrValue(type=tf.int64.as_datatype_enum))(graph, nodes)


def _wide(graph, nodes):
  del graph
  _shape(nodes["x"].attr["shape"].shape, -1, 2**34)
  nodes["y"].CopyFrom(tf.NodeDef(name="y", op="Identity", input=["x"],
                                 attr={"T": _FLOAT}))


def _file_name(graph, nodes):
  node = graph.node.add(name="name", op="Const")
  node.attr["dtype"].type = tf.string.as_datatype_enum
  node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("/etc/passwd"))
  _op("ReadFile", "name")(graph, nodes)


def _tensor(**fields):
  def change(graph, nodes):
    del graph
    tensor = nodes["w"].attr["value"].tensor
    for name, value in fields.items():
      if name == "shape":
        _shape(tensor.tensor_shape, *value)
      else:
        setattr(tensor, name, value)
  return change


def _node(name, change):
  return lambda graph, nodes: change(nodes[name])


_FLOAT = tf.AttrValue(type=tf.float32.as_datatype_enum)
_GRAPHS = (
    ("cycle", _cycle, "found that it needs itself, by way of"),
    ("recursion", _loop_of_functions, "function 'f': found that it calls itse"),
    ("missing_input", _node("y", lambda y: y.input.__setitem__(1, "gone")),
     "node 'y': found input 'gone', a node that is not there"),
    ("missing_output", _node("y", lambda y: y.input.__setitem__(1, "w:7")),
     "found input 'w:7', of which node 'w' has 1"),
    ("input_that_is_none", _node("y", lambda y: y.input.__setitem__(1, "a b")),
     "found input 'a b'"),
    ("too_many_inputs", _node("y", lambda y: y.input.append("w")),
     "node 'y': found 3 inputs; allowed: 2"),
    ("twice", lambda graph, nodes: graph.node.add().CopyFrom(nodes["w"]),
     "node 'w': found it a second time"),
    ("name_that_is_none", _node("w", lambda w: setattr(w, "name", "a b\n")),
     r"node 'a b\\n': found a name that is none"),
    ("op_unknown", _op("FusedSecretOp"), "node 'odd': FusedSecretOp: this "
     "TensorFlow does not know it; allowed: registered ops, or --op_library"),
    ("op_reads", _file_name, "node 'odd': ReadFile: reads files; allowed: .* "
     "--allow_op=ReadFile"),
    ("op_calls_python", _op("PyFunc", "x", token=tf.AttrValue(s=b"t"),
                            Tin=tf.AttrValue(list={"type": [1]}),
                            Tout=tf.AttrValue(list={"type": [1]})),
     "node 'odd': PyFunc: calls Python"),
    ("op_connects", _op("_Recv", tensor_type=_FLOAT, tensor_name=tf.AttrValue(
        s=b"t"), send_device=tf.AttrValue(s=b"d"), recv_device=tf.AttrValue(
            s=b"d"), send_device_incarnation=tf.AttrValue(i=1)),
     "node 'odd': _Recv: opens connections"),
    ("op_aborts", _op("Abort", "^x"), "Abort: ends the process|has 0"),
    ("gigabytes_stated", _tensor(shape=[2**30, 2**10], tensor_content=b""),
     r"found attribute 'value' of shape \[1073741824, 1024\], 4,096.0 GiB"),
    ("gigabytes_computed", _fill, "tensor 'odd:0': found shape .* GiB|cannot"),
    ("gigabytes_fed", _wide, "of which rows would have"),
    ("overflow", _tensor(shape=[2**62, 2**62]), r"found attribute 'value' of "
     "shape"),
    ("negative", _tensor(shape=[-3, 3]), r"of shape \[-3, 3\]; allowed"),
    ("negative_fed", _node("x", lambda x: _shape(
        x.attr["shape"].shape, -1, -7)), "node 'x': found a dimension of -7"),
    ("content_too_short", _tensor(tensor_content=b"abc"),
     r"of 3 bytes for shape \[2, 3\] of float32; allowed: 24"),
    ("type_that_is_none", _tensor(dtype=250), "of type 250, which is none"),
    ("attribute_missing", _node("y", lambda y: y.attr.pop("T")),
     "node 'y': found no attribute 'T'; required by MatMul"),
    ("attribute_of_another_kind", _node("y", lambda y: y.attr["T"].CopyFrom(
        tf.AttrValue(s=b"float"))), "found attribute 'T' of kind s; allowed"),
    ("other_types", _node("y", lambda y: y.attr["T"].CopyFrom(tf.AttrValue(
        type=tf.int32.as_datatype_enum))), "cannot be built: "),
    ("other_shapes", _node("x", lambda x: _shape(
        x.attr["shape"].shape, -1, 5)), "cannot be built: "),
)


class MalformedTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    folder = tempfile.TemporaryDirectory()
    self.addCleanup(folder.cleanup)
    self.folder = folder.name

  def path(self, name, content):
    path = os.path.join(self.folder, name)
    with open(path, "wb") as file:
      file.write(content)
    return path

  def refused(self, message, *arguments, signature=_SIGNATURE, code=1):
    """Runs the tool; checks its code, its one line, and that nothing is left.
    """
    export_dir = os.path.join(self.folder, "export")
    found, out, err = to_saved_model_test.run_tool(
        arguments[0], f"--signature={signature}", f"--export_dir={export_dir}",
        *arguments[1:])
    self.assertEqual(found, code, out + err)
    self.assertRegex(err, message)
    self.assertRegex(err, r"\A[^\n]+\n\Z")
    self.assertNotRegex(out + err, "Traceback|written: ")
    self.assertEmpty(os.listdir(export_dir) if os.path.isdir(export_dir)
                     else [])

  @parameterized.named_parameters(*_GRAPHS)
  def test_graph(self, change, message):
    graph, nodes = small()
    change(graph, nodes)
    self.refused(message, self.path("g.pb", graph.SerializeToString()))

  @parameterized.named_parameters(
      ("empty", "g.pb", b"", "found a graph without nodes"),
      ("binary_junk", "g.pb", bytes(range(256)) * 9, "cannot be read as Graph"),
      ("meta_junk", "g.meta", b"\xff\xfe\x00junk" * 50, "cannot be read as Met"),
      ("text_junk", "g.pbtxt", b"node { nome: 'a' }", "cannot be read as Graph"),
      ("no_text", "g.pbtxt", b"\xff\xfe\x01", "cannot be read as GraphDef"),
      ("nested", "g.pbtxt", b"library { function { " * 9000, "cannot be read as"),
      ("of_another_kind", "g.h5", b"HDF", "found neither .meta, .pb nor"),
      ("no_saved_model", "saved_model.pb", b"junk!", "cannot be read as Saved"),
  )
  def test_file(self, name, content, message):
    self.refused(message, self.path(name, content))

  @parameterized.named_parameters(
      ("meta", ".meta", 0.5, "cannot be read as MetaGraphDef"),
      ("index", ".index", 0.6, "model: "),
      ("no_index", ".index", 0.0, "model: "),
      ("data", ".data-00000-of-00001", 0.3, "model"),
      ("no_data", ".data-00000-of-00001", None, "found 0 of 1 data files"),
  )
  def test_truncated(self, ending, share, message):
    for file in os.listdir(os.path.dirname(_old.paths["meta"])):
      if file.startswith("model."):
        shutil.copy(os.path.join(os.path.dirname(_old.paths["meta"]), file),
                    self.folder)
    path = os.path.join(self.folder, "model" + ending)
    if share is None:
      os.remove(path)
    else:
      with open(path, "r+b") as file:
        file.truncate(int(os.path.getsize(path) * share))
    self.refused(message, os.path.join(self.folder, "model.meta"),
                 *_old.constants, signature=_old.signature)

  @parameterized.named_parameters(
      ("lacks_one", {"fc/kernel": np.zeros([4, 3], np.float32)},
       "variable 'fc/weights': .* has no 'fc/weights'; allowed: a checkpoint"),
      ("type", {"fc/weights": np.zeros([4, 3])}, "variable 'fc/weights': .* has "
       "it as float64; allowed: float32"),
      ("shape", {"fc/weights": np.zeros([3, 4], np.float32)},
       r"variable 'fc/weights': .* has it of shape \[3, 4\]; allowed: \(4, 3\)"),
  )
  def test_checkpoint(self, values, message):
    with tf.Graph().as_default(), tf.Session() as session:
      for name in ("gamma", "beta", "moving_mean", "moving_variance"):
        values = {**values, f"BatchNorm/{name}": np.zeros([3], np.float32)}
      for name, value in values.items():
        tf.get_variable(name, initializer=value)
      session.run(tf.global_variables_initializer())
      path = tf.train.Saver().save(session, os.path.join(self.folder, "other"))
    self.refused(message, _old.paths["meta"], f"--checkpoint={path}",
                 *_old.constants, signature=_old.signature)

  @parameterized.named_parameters(
      ("tensor", "serving_default: x=x:0 -> y=why:0", (), "found 'why:0', where "
       ".* has no node 'why'; allowed: a tensor of the graph"),
      ("number", "serving_default: x=x:0 -> y=y:3", (), "'y' has 1 outputs"),
      ("arrow", "serving_default: x=x:0, y=y:0", (), "--signature: found '"),
      ("method", "serving_default (ask): x=x -> y=y", (), "found method 'ask'"),
      ("key_twice", "serving_default: x=x, x=w -> y=y", (), "each key once"),
      ("own_name", "__init: x=x -> y=y", (), "TensorFlow's own"),
      ("classify", "serving_default (classify): x=x -> y=y", (),
       "found inputs .* allowed: one called 'inputs'"),
      ("not_fed", "serving_default: w=w -> y=y", (), "an output needs this "
       "placeholder of float32, which is no input"),
      ("constant", _SIGNATURE, ("--constant=w=1",), "which is no placeholder"),
      ("tags", _SIGNATURE, ("--tags=serve",), "allowed: with a SavedModel"),
      ("rows", _SIGNATURE, ("--rows=no.npz",), "--rows: 'no.npz' cannot be"),
      ("seconds", _SIGNATURE, ("--run_seconds=0",), "--run_seconds"),
      ("library", _SIGNATURE, ("--op_library=no.so",), "cannot be loaded"),
      ("signature_file", "", ("--signature_file=no", "--signature="), "--sig"),
  )
  def test_asked_wrongly(self, signature, more, message):
    path = self.path("g.pb", small()[0].SerializeToString())
    self.refused(message, path, *more, signature=signature,
                 code=2 if "signature_file" in str(more) or "seconds" in str(
                     more) else 1)

  @parameterized.named_parameters(
      ("gone", None, "found no asset 'assets/words.txt'; allowed: the file"),
      ("escaping", b"../../../etc/passwd", "which is not in its folder"),
      ("absolute", b"/etc/passwd", "which is not in its folder"),
  )
  def test_asset(self, name, message):
    folder = os.path.join(self.folder, "model")
    shutil.copytree(_table.paths["saved_model"], folder)
    if name is None:
      os.remove(os.path.join(folder, "assets", "words.txt"))
    else:
      path = os.path.join(folder, "saved_model.pb")
      with open(path, "rb") as file:
        model = saved_model_pb2.SavedModel.FromString(file.read())
      meta_graph, = model.meta_graphs
      meta_graph.ClearField("collection_def")
      meta_graph.asset_file_def.add(filename=name.decode())
      with open(path, "wb") as file:
        file.write(model.SerializeToString())
    self.refused(message, folder, "--tags=serve,old",
                 signature=_table.signature)

  def test_bytes_that_were_changed(self):
    """300 graphs with changed bytes: each is ported, or refused in a line."""
    content = small()[0].SerializeToString()
    maker, codes = random.Random(1), []
    for _ in range(300):
      changed = bytearray(content)
      for _ in range(maker.choice([1, 1, 2, 8])):
        changed[maker.randrange(len(changed))] = maker.randrange(256)
      path = self.path("g.pb", bytes(changed))
      code, out, err = to_saved_model_test.run_tool(
          path, f"--signature={_SIGNATURE}",
          f"--export_dir={self.folder}/export")
      codes.append(code)
      self.assertIn(code, (0, 1), err)
      self.assertEqual(err.count("\n"), code, err)
      self.assertNotIn("Traceback", out + err)
    self.assertGreater(codes.count(1), 150)


if __name__ == "__main__":
  absltest.main()
