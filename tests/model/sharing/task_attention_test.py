"""Tests of a trunk that each task masks by attention."""

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph.model.sharing import task_attention
from tests.model.sharing import every_sharing
from tests.model.sharing import shared_part

_TASKS = ["a", "b"]
_DENSE = "layer { dense { units: %d activation: TANH } }"
_VECTORS = f"""
  block {{ first {{ {_DENSE % 4} }} second {{ {_DENSE % 5} }}
          transition {{ {_DENSE % 3} }} attention_units: 6 %s }}
  block {{ first {{ {_DENSE % 4} }} forward {{ {_DENSE % 2} }}
          attention_units: 3 %s }}"""
_CONV = "layer { conv2d { filters: %d kernel_size: 3 activation: RELU } }"
_POOL = "layer { max_pooling { size: 2 } }"
_IMAGES = f"""
  block {{ first {{ {_CONV % 4} }} second {{ {_CONV % 3} }}
          transition {{ {_POOL} }} attention_units: 2 %s }}
  block {{ first {{ {_CONV % 2} }} second {{ {_CONV % 5} }}
          forward {{ {_CONV % 3} {_POOL} }} attention_units: 4 %s }}"""
_PLAIN = "batch_normalization: false"


def _part(blocks, wanted=None, shape=(3,), training=False):
  message = shared_part.parse(f"task_attention {{ {blocks} }}").task_attention
  return shared_part.SharedPart(
      lambda inputs, mode: task_attention.build(message, inputs,
                                                wanted or _TASKS, mode),
      shape, training)


def _mask(v, scope, read, training=False):
  """Returns the mask that an attention makes; its layers are 1 by 1."""
  def layer(name, x):
    y = shared_part.dense(v, f"{scope}/{name}", x, None)
    if f"{scope}/{name}/gamma" in v:
      return shared_part.normalized(v, f"{scope}/{name}", y, training)
    return y
  return shared_part.sigmoid(layer("mask", shared_part.relu(
      layer("hidden", read))))


def _vectors(v, x, training=False):
  """Returns what tasks read of `_VECTORS`."""
  dense, found = shared_part.dense, {}
  first = [dense(v, "block_0/first/dense", x)]
  second = [dense(v, "block_0/second/dense", first[0])]
  first.append(dense(v, "block_1/first/dense",
                     dense(v, "block_0/transition/dense", second[0])))
  for task in _TASKS:
    masked = second[0] * _mask(v, f"attention/{task}/block_0", first[0],
                               training)
    read = np.concatenate(
        [first[1], dense(v, "block_1/forward/dense", masked)], 1)
    found[task] = first[1] * _mask(v, f"attention/{task}/block_1", read,
                                   training)
  return found


def _images(v, x):
  """Returns what tasks read of `_IMAGES`."""
  conv, found = shared_part.conv2d, {}
  first = conv(v, "block_0/first/conv2d", x)
  second = conv(v, "block_0/second/conv2d", first)
  next_first = conv(v, "block_1/first/conv2d", shared_part.pooled(second))
  next_second = conv(v, "block_1/second/conv2d", next_first)
  for task in _TASKS:
    masked = second * _mask(v, f"attention/{task}/block_0", first)
    forward = shared_part.pooled(conv(v, "block_1/forward/conv2d", masked))
    found[task] = next_second * _mask(
        v, f"attention/{task}/block_1",
        np.concatenate([next_first, forward], -1))
  return found


class TaskAttentionTest(parameterized.TestCase, tf.test.TestCase):

  @parameterized.parameters("", _PLAIN)
  def test_matches_formula(self, more):
    part = _part(_VECTORS % (more, more))
    self.assertAllClose(part.run(), _vectors(part.values(), part.rows),
                        rtol=1e-4)
    self.assertEqual(part.outputs["a"].shape.as_list(), [None, 4])
    for name in ("bias", "gamma", "moving_mean"):
      self.assertEqual(f"attention/a/block_1/mask/{name}" in part.values(),
                       (name == "bias") == bool(more))

  @parameterized.parameters("", _PLAIN)
  def test_matches_formula_on_images(self, more):
    part = _part(_IMAGES % (more, more), shape=(4, 6, 2))
    self.assertAllClose(part.run(), _images(part.values(), part.rows),
                        rtol=1e-4, atol=1e-5)
    self.assertEqual(part.trainable["attention/a/block_1/hidden/kernel"
                                    ].shape.as_list(), [1, 1, 2 + 3, 4])

  def test_in_training_it_goes_by_the_batch(self):
    part = _part(_VECTORS % ("", ""), training=True)
    self.assertAllClose(part.run(), _vectors(part.values(), part.rows, True),
                        rtol=1e-4, atol=1e-5)
    # Two moving statistics for each of two layers per task and block.
    self.assertLen(part.mode.updates, 2 * 2 * 2 * 2)
    self.assertEmpty(_part(_VECTORS % ("", "")).mode.updates)

  def test_one_block_masks_what_it_makes_itself(self):
    part = _part(f"block {{ first {{ {_DENSE % 4} }} attention_units: 2 }}")
    v = part.values()
    first = shared_part.dense(v, "block_0/first/dense", part.rows)
    self.assertAllClose(part.run(), {
        task: first * _mask(v, f"attention/{task}/block_0", first)
        for task in _TASKS}, rtol=1e-4)

  def test_forward_layers_are_those_of_all_tasks(self):
    part = _part(_VECTORS % ("", ""))
    shared = {"block_0/first/dense", "block_0/second/dense",
              "block_0/transition/dense", "block_1/first/dense",
              "block_1/forward/dense"}
    for task in _TASKS:
      self.assertEqual(
          shared_part.scopes(part.reached(part.outputs[task])), shared | {
              f"attention/{task}/block_{j}/{name}" for j in (0, 1)
              for name in ("hidden", "mask")})

  def test_moving_statistics_of_forward_move_in_the_order_of_the_tasks(self):
    part = _part(f"""
        block {{ first {{ {_DENSE % 4} }} attention_units: 2 {_PLAIN} }}
        block {{ first {{ {_DENSE % 4} }} attention_units: 2 {_PLAIN}
                forward {{ layer {{ batch_normalization {{}} }} }} }}""",
                 training=True)
    # The mean and the variance, once for each task.
    self.assertLen(part.mode.updates, 4)
    pending, before = list(part.mode.updates[2:]), set()
    while pending:
      op = pending.pop()
      for other in [*op.control_inputs, *(t.op for t in op.inputs)]:
        if other not in before:
          before.add(other)
          pending.append(other)
    self.assertContainsSubset(part.mode.updates[:2], before)

  def test_only_wanted_attentions_are_built(self):
    whole, part = (_part(_IMAGES % ("", ""), tasks, (4, 6, 2))
                   for tasks in (None, ["b"]))
    self.assertEqual(part.trainable.keys(), {
        name for name in whole.trainable
        if not name.startswith("attention/a/")})
    part.load({n: v for n, v in whole.values().items() if n in part.values()})
    self.assertAllClose(part.run()["b"], whole.run()["b"])

  def test_training_reaches_everything(self):
    run = every_sharing.run(every_sharing.TABLE["attention_on_images"])
    before = run.values()
    after = run.train(20)
    self.assertTrue(all(np.isfinite(value).all() for value in after.values()))
    for name in before:
      if name.startswith(("block_", "attention/")):
        self.assertNotEqual(before[name].tobytes(), after[name].tobytes(), name)


if __name__ == "__main__":
  absltest.main()
