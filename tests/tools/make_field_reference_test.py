"""Tests for tools/make_field_reference.py."""

import pathlib
import tempfile

from absl import flags
from absl.testing import absltest

from tools import make_field_reference

ROOT = pathlib.Path(__file__).absolute().parent.parent.parent
# What no experiment holds is not on the page.
FILES = [path.stem for path in sorted((ROOT / "protos").glob("*.proto"))
         if path.stem != "warmup"]


class MakeFieldReferenceTest(absltest.TestCase):

  def test_page_is_up_to_date(self):
    page = make_field_reference.write_page(
        make_field_reference.describe(str(ROOT / "protos")))
    self.assertEqual((ROOT / "docs" / "fields.md").read_text(encoding="utf-8"),
                     page)

  def test_every_message_and_field_is_on_the_page(self):
    descriptors = make_field_reference.describe(str(ROOT / "protos"))
    self.assertCountEqual([pathlib.Path(file.name).stem
                           for file in descriptors.file], FILES)
    page = make_field_reference.write_page(descriptors)
    for file in descriptors.file:
      for message in file.message_type:
        self.assertIn(f"\n## {message.name}\n", page)
        for field in message.field:
          self.assertIn(f"\n| `{field.name}` | ", page)
        for enum in message.enum_type:
          self.assertIn(f"\n## {message.name}.{enum.name}\n", page)

  def test_field_numbers_agree_with_the_next_id(self):
    for file in make_field_reference.describe(str(ROOT / "protos")).file:
      comments = {tuple(l.path): l.leading_comments
                  for l in file.source_code_info.location}
      for i, message in enumerate(file.message_type):
        largest = max([f.number for f in message.field], default=0)
        self.assertIn(f"Next ID: {largest + 1}\n", comments[(4, i)] + "\n",
                      message.name)

  def test_field_without_comment_is_refused(self):
    with tempfile.TemporaryDirectory() as folder:
      for name in FILES:
        pathlib.Path(folder, f"{name}.proto").write_text(
            "syntax = \"proto2\"; package mtl_graph;\n", encoding="utf-8")
      pathlib.Path(folder, "data.proto").write_text(
          "syntax = \"proto2\"; package mtl_graph;\n// A message.\n"
          "message Rows {\n  optional int32 count = 1;\n}\n", encoding="utf-8")
      with self.assertRaisesRegex(flags.Error, "Rows.count has no comment"):
        make_field_reference.write_page(make_field_reference.describe(folder))


if __name__ == "__main__":
  absltest.main()
