"""Tests for tools/make_multimnist.py and the experiment that reads its files.
"""

import contextlib
import gzip
import io
import os
import pathlib
import tempfile

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np
import tensorflow.compat.v1 as tf

from mtl_graph import api
from tools import make_multimnist

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent
EXPERIMENT = ROOT / "protos" / "examples" / "large" / "multimnist.pbtxt"
PUBLISHED = ROOT.parent / "shared" / "data" / "mnist"
IMAGES, LABELS = make_multimnist.FILES


def idx(array):
  """Encodes an array of unsigned bytes in idx format, gzip."""
  header = bytes([0, 0, 8, array.ndim])
  header += b"".join(size.to_bytes(4, "big") for size in array.shape)
  return gzip.compress(header + array.tobytes())


def make_digits(count=100):
  """Makes digits, each of one brightness of its own, and labels."""
  images = np.zeros((count, 28, 28), np.uint8)
  images += np.arange(1, count + 1, dtype=np.uint8)[:, np.newaxis, np.newaxis]
  return images, (np.arange(count) % 10).astype(np.uint8)


class ReadTest(parameterized.TestCase):

  def test_reads_what_idx_holds(self):
    path = os.path.join(self.enter_context(tempfile.TemporaryDirectory()), "a")
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    pathlib.Path(path).write_bytes(idx(array))
    np.testing.assert_array_equal(make_multimnist.read_idx(path, 3), array)

  def test_published_files(self):
    if not PUBLISHED.exists():
      self.skipTest("the published data are not here")
    images, labels = make_multimnist.read(str(PUBLISHED))
    self.assertEqual(images.shape, (10000, 28, 28))
    # As published: the first digits are 7, 2, 1, 0, 4.
    self.assertEqual(list(labels[:5]), [7, 2, 1, 0, 4])
    self.assertEqual(set(labels), set(range(10)))
    self.assertEqual(images.max(), 255)


class ComposeTest(parameterized.TestCase):

  @parameterized.parameters((36, 28), (28, 28), (10, 3))
  def test_area_weights_are_those_of_tensorflow(self, source, target):
    lines = np.random.RandomState(0).rand(5, source, source)
    weights = make_multimnist.area_weights(source, target)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-12)
    with tf.Graph().as_default(), tf.Session() as sess:
      expected = sess.run(tf.image.resize(
          tf.constant(lines[..., np.newaxis], tf.float32), [target, target],
          method=tf.image.ResizeMethod.AREA))
    np.testing.assert_allclose(weights @ lines @ weights.T, expected[..., 0],
                               rtol=1e-5)

  def test_places_of_the_digits(self):
    blank = np.zeros((1, 28, 28), np.uint8)
    full = np.full((1, 28, 28), 200, np.uint8)
    # 28 of 36 pixels are 21 7/9 of 28, and 6 of 36 are 4 2/3.
    left = make_multimnist.compose(full, blank)[0]
    np.testing.assert_array_equal(left[:21, :21], 200)
    np.testing.assert_array_equal(left[22:], 0)
    np.testing.assert_array_equal(left[:, 22:], 0)
    self.assertEqual(left[21, 0], round(200 * 7 / 9))
    right = make_multimnist.compose(blank, full)[0]
    np.testing.assert_array_equal(right[:4], 0)
    np.testing.assert_array_equal(right[5:26, 5:26], 200)
    np.testing.assert_array_equal(right[27:], 0)
    self.assertEqual(right[4, 10], round(200 / 3))
    self.assertEqual(right[26, 10], round(200 * 4 / 9))

  def test_the_brighter_pixel_counts(self):
    dark = np.full((1, 28, 28), 90, np.uint8)
    bright = np.full((1, 28, 28), 250, np.uint8)
    for pair in ((dark, bright), (bright, dark)):
      image = make_multimnist.compose(*pair)[0]
      np.testing.assert_array_equal(image[5:21, 5:21], 250)


class MakeTest(parameterized.TestCase):

  def _make(self, seed=1):
    images, labels = make_digits()
    return make_multimnist.make(images, labels,
                                {"train": 400, "validation": 50}, seed)

  def test_no_digit_is_on_both_sides(self):
    made = self._make()
    digits = {}
    for split, columns in made.items():
      # A corner that only one digit reaches shows which digit it is.
      left = columns["image"][:, 0, 0].astype(int) - 1
      right = columns["image"][:, 25, 25].astype(int) - 1
      np.testing.assert_array_equal(left % 10, columns["left"])
      np.testing.assert_array_equal(right % 10, columns["right"])
      self.assertTrue(np.any(left != right))
      digits[split] = set(left) | set(right)
    self.assertLen(digits["train"], 80)
    self.assertLen(digits["validation"], 20)
    self.assertEmpty(digits["train"] & digits["validation"])

  def test_each_digit_comes_equally_often(self):
    left, right = make_multimnist.draw(np.arange(8), 20,
                                       np.random.RandomState(0))
    for side in (left, right):
      self.assertContainsSubset(np.bincount(side), {2, 3})
    self.assertTrue(np.any(left != right))

  def test_shapes_and_types(self):
    for columns, count in zip(self._make().values(), (400, 50)):
      self.assertEqual(columns["image"].shape, (count, 28, 28))
      self.assertEqual(columns["image"].dtype, np.uint8)
      self.assertEqual(columns["left"].shape, (count,))

  def test_depends_on_the_seed_alone(self):
    first, again, other = self._make(), self._make(), self._make(seed=2)
    np.testing.assert_array_equal(first["train"]["image"],
                                  again["train"]["image"])
    self.assertTrue(np.any(first["train"]["image"] != other["train"]["image"]))


class CommandLineTest(parameterized.TestCase):

  def setUp(self):
    super().setUp()
    self.folder = self.enter_context(tempfile.TemporaryDirectory())
    self.output = os.path.join(self.folder, "new")
    for name, array in zip((IMAGES, LABELS), make_digits()):
      pathlib.Path(self.folder, name).write_bytes(idx(array))

  def _run(self, *more):
    """Returns the exit code, and what is written to stdout and stderr."""
    printed, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(
        errors):
      code = make_multimnist.main([
          "make_multimnist", f"--input_dir={self.folder}",
          f"--output_dir={self.output}", "--train_pairs=256",
          "--validation_pairs=40", *more])
    return code, printed.getvalue(), errors.getvalue()

  def test_experiment_trains_on_such_files(self):
    self.assertEqual(self._run()[0], 0)
    self.assertCountEqual(os.listdir(self.output),
                          ["train.npz", "validation.npz"])
    result = api.train(
        str(EXPERIMENT), model_dir=os.path.join(self.folder, "run"),
        overrides=["training.num_steps=2"] + [
            f"data.{split}.npz.path=['{self.output}/{split}.npz']"
            for split in ("train", "validation")], log=lambda line: None)
    self.assertEqual(result.step, 2)
    self.assertCountEqual(result.metrics["validation"], ["left", "right"])

  def test_dry_run_writes_nothing(self):
    code, planned, _ = self._run("--dry_run")
    self.assertEqual(code, 0)
    self.assertFalse(os.path.exists(self.output))
    self.assertIn("train.npz: 256 pairs of digits", planned)
    self.assertEqual(planned.replace("would write", "wrote"), self._run()[1])

  def test_never_over_a_file(self):
    os.makedirs(self.output)
    mine = pathlib.Path(self.output, "validation.npz")
    mine.write_bytes(b"mine")
    code, _, errors = self._run()
    self.assertEqual(code, 2)
    self.assertIn("validation.npz' exists; allowed: ", errors)
    self.assertEqual(mine.read_bytes(), b"mine")
    self.assertLen(os.listdir(self.output), 1)

  @parameterized.named_parameters(
      ("not_gzip", IMAGES, b"digits", "found no gzip file that can be read"),
      ("magic", IMAGES, idx(np.zeros(3, np.uint8)),
       r"found b'\x00\x00\x08\x01' at the beginning; allowed: "),
      ("size", LABELS, gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9])),
       "found 8 bytes; allowed: 17 for shape [9]"),
      ("count", IMAGES, idx(np.zeros((99, 28, 28), np.uint8)),
       "found shape (99, 28, 28); allowed: (100, 28, 28), an image per label"),
  )
  def test_bad_file_gives_one_line(self, name, data, message):
    path = os.path.join(self.folder, name)
    pathlib.Path(path).write_bytes(data)
    code, _, errors = self._run()
    self.assertEqual(code, 1)
    self.assertRegex(errors, f"^{path}: .*\n$")
    self.assertIn(message, errors)
    self.assertFalse(os.path.exists(self.output))


if __name__ == "__main__":
  absltest.main()
