"""Tests of cutting CSV files where rows end."""

import csv
import io

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph.data import csv_rows

_TEXTS = {
    "plain": "a,b\n1,2\n3,4\n",
    "no_end": "a,b\n1,2",
    "windows": "a,b\r\n1,2\r\n3,4\r\n",
    "old_mac": "a,b\r1,2\r3,4",
    "mixed": "a\rb\nc\r\nd\r\re\n\nf",
    "blank": "\n\na,b\n\n1,2\r\n\r\n3,4\n\n",
    "quoted": 'a,"b\nc"\n"d ""e""","\r\n\r\n"\n\nx,y\n"z",\n',
    "quote_within": 'a"b,c\nd,e"\nf,g\n',
    "empty": "",
    "spaces": ' a, "b\n c" ,d\n \n',
}


def _cut(content, size, strip_spaces=False):
  cutter = csv_rows.Cutter(io.BytesIO(content), strip_spaces)
  pieces = []
  while (piece := cutter.take(size))[2]:
    pieces.append(piece)
  return pieces


class CutterTest(parameterized.TestCase):

  @parameterized.product(name=list(_TEXTS), size=(1, 2, 100),
                         strip_spaces=(False, True))
  def test_pieces_parse_to_the_rows_of_the_whole(self, name, size,
                                                 strip_spaces):
    if name == "spaces" and not strip_spaces:
      return  # A quote behind a space is none.
    def parsed(text):
      reader = csv.reader(
          io.StringIO(text, newline=""), strict=not strip_spaces,
          skipinitialspace=strip_spaces)
      return [row for row in reader if row]
    pieces = _cut(_TEXTS[name].encode(), size, strip_spaces)
    rows = [parsed(content.decode()) for content, _, _ in pieces]
    self.assertEqual(sum(rows, []), parsed(_TEXTS[name]))
    self.assertEqual([count for _, _, count in pieces], list(map(len, rows)))
    self.assertTrue(all(len(some) == size for some in rows[:-1]))

  def test_first_lines(self):
    pieces = _cut(b'a\n"b\nc"\n\nd\r\ne\n', 2)
    self.assertEqual([line for _, line, _ in pieces], [1, 4])

  def test_a_byte_order_mark_is_no_part_of_a_row(self):
    self.assertEqual(_cut(b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", 1),
                     [(b"a\n", 1, 1), (b"\xef\xbb\xbfb\n", 2, 1)])

  def test_what_is_no_text_is_cut_too(self):
    self.assertEqual(_cut(b'a\xff\n"\xff\n"\n', 5),
                     [(b'a\xff\n"\xff\n"\n', 1, 2)])

  @parameterized.parameters((b'a\nb\n"c\nd\n', 3), (b'a\n"b" c\nd\n', 2))
  def test_a_bad_row_is_told_by_its_line(self, content, line):
    cutter = csv_rows.Cutter(io.BytesIO(content), False)
    with self.assertRaises(csv.Error):
      cutter.take(10)
    self.assertEqual(cutter.line, line)


if __name__ == "__main__":
  absltest.main()
