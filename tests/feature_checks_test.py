"""Tests of the search for what is wrong with features."""

from absl.testing import absltest
from absl.testing import parameterized
from google.protobuf import text_format

from mtl_graph import feature_checks
from mtl_graph.protos import data_pb2

_DEEP_ONLY = ("found it on a feature that is not in the deep part; allowed: "
              "with use: DEEP or WIDE_AND_DEEP")
_NO_TABLE = ("found it without a table of embeddings; allowed: with "
             "embedding_dimension only")
_DOMAINS = ("num_buckets, hash_buckets, quantile_buckets, vocabulary, "
            "vocabulary_file, counted_vocabulary, boundary; allowed: exactly "
            "one")
_OTHER = "num_buckets: 3 embedding_dimension: 2"
_TWO = ("feature { name: 'c' categorical { num_buckets: 3 one_hot {} } } "
        "feature { name: 'd' categorical { hash_buckets: 3 one_hot {} } } ")


def _problems(text, reads_text=False):
  problems = []
  feature_checks.check(
      text_format.Parse(text, data_pb2.Data()).feature, reads_text,
      lambda path, problem: problems.append(f"{path}: {problem}"))
  return problems


class _Case(parameterized.TestCase):
  _PATH = "data.feature[0]"

  def _assert_problems(self, feature, expected, reads_text=False):
    self.assertEqual(
        _problems(f"feature {{ name: 'x' {feature} }}", reads_text),
        [f"{self._PATH}{problem}" for problem in expected])


class CheckTest(_Case):

  def test_none(self):
    self.assertEqual(_problems(""),
                     ["data.feature: found none; allowed: at least one"])

  @parameterized.named_parameters(
      ("no_kind", "", ": found no kind; allowed: one of numeric, categorical, "
       "image, cross"),
      ("cross_only", f"categorical {{ {_OTHER} }} use: CROSS_ONLY",
       f".categorical.embedding_dimension: {_DEEP_ONLY}",
       ".use: found CROSS_ONLY on a feature that no cross reads; allowed: on "
       "those that one does"),
      ("cross_only_number", "numeric {} use: CROSS_ONLY",
       ".use: found CROSS_ONLY with numeric; allowed: with categorical"),
      ("cross_only_image", "image { height: 1 width: 1 } use: CROSS_ONLY",
       ".use: found CROSS_ONLY with image; allowed: with categorical"),
      ("encoder_of_nothing", "numeric {} use: WIDE encoder { layer { dense { "
       "units: 1 } } }", f".encoder: {_DEEP_ONLY}"),
      ("encoder", "numeric {} encoder { layer {} layer { dense {} } }",
       ".encoder.layer[0]: found no kind; allowed: one of dense, dropout, "
       "batch_normalization, layer_normalization, conv2d, max_pooling, "
       "average_pooling, flatten, global_max_pooling, global_average_pooling, "
       "residual, activation, python",
       ".encoder.layer[1].dense.units: found nothing; allowed: at least 1"),
      ("good_encoder", "numeric {} use: WIDE_AND_DEEP encoder { layer { dense "
       "{ units: 1 } } }"))
  def test_features(self, feature, *expected):
    self._assert_problems(feature, expected)

  def test_cross_only_that_a_cross_reads(self):
    self.assertEmpty(_problems(
        "feature { name: 'c' categorical { num_buckets: 3 } use: CROSS_ONLY } "
        "feature { name: 'd' categorical { num_buckets: 3 } use: WIDE } "
        "feature { name: 'x' cross { feature: ['d', 'c'] hash_buckets: 3 } "
        "use: WIDE }"))


class NumericTest(_Case):
  _PATH = "data.feature[0].numeric"

  @parameterized.named_parameters(
      ("plain", "numeric {}"),
      ("all", "numeric { size: 2 normalization: MIN_MAX missing_value: -1 "
       "separator: '|' }"),
      ("one_by_separator", "numeric { separator: ', ' }"),
      ("size", "numeric { size: 0 }", ".size: found 0; allowed: at least 1"),
      ("vector", "numeric { size: 2 }",
       ".size: found 2 without a separator; allowed: 1 from .csv files, more "
       "with a separator or from other files"),
      ("separator", "numeric { size: 1 separator: '' }",
       ".separator: found ''; allowed: at least one character"),
      ("log1p", "numeric { normalization: LOG1P missing_value: 0 }"),
      ("log1p_of_negative", "numeric { normalization: LOG1P missing_value: "
       "-0.5 }", ".missing_value: found -0.5; allowed: at least 0 under LOG1P"))
  def test_from_text(self, feature, *expected):
    self._assert_problems(feature, expected, reads_text=True)

  def test_vector_from_other_files(self):
    self._assert_problems("numeric { size: 2 }", [])


class CategoricalTest(_Case):
  _PATH = "data.feature[0].categorical"

  @parameterized.named_parameters(
      ("num_buckets", "num_buckets: 1"), ("hash_buckets", "hash_buckets: 1"),
      ("vocabulary", "vocabulary: 'a'"), ("boundary", "boundary: -1.5"),
      ("quantiles", "quantile_buckets: 2"),
      ("counted", "counted_vocabulary { capacity: 1 }"),
      ("counted_already", "counted_vocabulary { capacity: 2 } "
       "vocabulary: ['a', 'b']"),
      ("capacity", "vocabulary: ['a', 'b'] capacity: 2"),
      ("none", "", f": found none of {_DOMAINS}"),
      ("two", "num_buckets: 3 boundary: [1, 2]",
       f": found num_buckets and boundary of {_DOMAINS}"),
      ("boundary_and_counted", "counted_vocabulary { capacity: 1 } boundary: 1",
       f": found counted_vocabulary and boundary of {_DOMAINS}"),
      ("counted_and_file", "counted_vocabulary { capacity: 2 } vocabulary: 'a' "
       "vocabulary_file: 'b'",
       f": found vocabulary and vocabulary_file and counted_vocabulary of "
       f"{_DOMAINS}"),
      ("counted_and_buckets", "counted_vocabulary { capacity: 2 } vocabulary: "
       "'a' num_buckets: 3", ": found num_buckets and vocabulary and "
       f"counted_vocabulary of {_DOMAINS}"),
      ("no_buckets", "num_buckets: 0",
       ".num_buckets: found 0; allowed: at least 1"),
      ("no_hash_buckets", "hash_buckets: -1",
       ".hash_buckets: found -1; allowed: at least 1"),
      ("one_quantile", "quantile_buckets: 1",
       ".quantile_buckets: found 1; allowed: at least 2"),
      ("no_quantile", "quantile_buckets: 0",
       ".quantile_buckets: found 0; allowed: at least 2"),
      ("boundaries", "boundary: [0, 1, 1, -3]",
       ".boundary[2]: found 1 behind 1; allowed: rising numbers",
       ".boundary[3]: found -3 behind 1; allowed: rising numbers"),
      ("counted_without_capacity", "counted_vocabulary { min_count: 0 }",
       ".counted_vocabulary.capacity: found nothing; allowed: at least 1",
       ".counted_vocabulary.min_count: found 0; allowed: at least 1"),
      ("counted_beyond_capacity", "counted_vocabulary { capacity: 1 } "
       "vocabulary: ['a', 'b', 'a']",
       ".vocabulary: found 3 entries; allowed: at most "
       "counted_vocabulary.capacity, 1",
       ".vocabulary: found 'a' more than once; allowed: each entry once"),
      ("vocabulary_repeats", "vocabulary: ['b', 'a', 'b', 'a']",
       ".vocabulary: found 'a' more than once; allowed: each entry once"),
      ("vocabulary_of_nothing", "vocabulary: ['a', '']",
       ".vocabulary: found ''; allowed: any entry but '', which stands for a "
       "missing value"),
      ("too_small_a_capacity", "vocabulary: ['a', 'b'] capacity: 1",
       ".capacity: found 1 for 2 entries; allowed: at least 2"),
      ("capacity_of_buckets", "num_buckets: 3 capacity: 4",
       ".capacity: found it without vocabulary or vocabulary_file; allowed: "
       "with one of them only"),
      ("capacity_of_counted", "counted_vocabulary { capacity: 2 } vocabulary: "
       "'a' capacity: 9",
       ".capacity: found it without vocabulary or vocabulary_file; allowed: "
       "with one of them only"))
  def test_domain(self, domain, *expected):
    self._assert_problems(f"categorical {{ {domain} one_hot {{}} }}", expected)

  @parameterized.named_parameters(
      ("embedding", "embedding_dimension: 1 initializer { normal: 1 } "
       "regularization { l1: 0 } shared_embedding: 't'", "DEEP"),
      ("wide", "", "WIDE"), ("wide_and_deep", "one_hot {}", "WIDE_AND_DEEP"),
      ("none", "", "DEEP", ".embedding_dimension: found nothing; allowed: one "
       "of embedding_dimension, one_hot, multi_hot"),
      ("none_wide_and_deep", "", "WIDE_AND_DEEP", ".embedding_dimension: found "
       "nothing; allowed: one of embedding_dimension, one_hot, multi_hot"),
      ("no_width", "embedding_dimension: 0", "DEEP",
       ".embedding_dimension: found 0; allowed: at least 1"),
      ("wide_with_embedding", "embedding_dimension: 2", "WIDE",
       f".embedding_dimension: {_DEEP_ONLY}"),
      ("wide_with_one_hot", "one_hot {}", "WIDE", f".one_hot: {_DEEP_ONLY}"),
      ("no_table", "one_hot {} initializer { normal: 1 } regularization {} "
       "shared_embedding: 't'", "DEEP", f".initializer: {_NO_TABLE}",
       f".regularization: {_NO_TABLE}", f".shared_embedding: {_NO_TABLE}"),
      ("weights", "embedding_dimension: 1 initializer {} regularization { l1: "
       "-1 l2: -2 }", "DEEP",
       ".initializer: found no kind; allowed: one of glorot_uniform, "
       "glorot_normal, he_uniform, he_normal, lecun_uniform, lecun_normal, "
       "uniform, normal, truncated_normal, constant, orthogonal, identity",
       ".regularization.l1: found -1.0; allowed: at least 0",
       ".regularization.l2: found -2.0; allowed: at least 0"),
      ("identity", "embedding_dimension: 1 initializer { identity: 1 }",
       "DEEP"),
      ("multi_hot_of_one", "multi_hot {}", "DEEP",
       ".multi_hot: found it without values; allowed: one_hot for one category "
       "per row"))
  def test_representation(self, representation, use, *expected):
    self._assert_problems(
        f"categorical {{ num_buckets: 3 {representation} }} use: {use}",
        expected)

  @parameterized.named_parameters(
      ("plain", "max_values: 1"),
      ("all", "max_values: 2 separator: ' ' weight_column: 'w' combiner: SQRTN",
       "one_hot {}"),
      ("largest", "max_values: 2 combiner: MAX"),
      ("lstm", "max_values: 2 lstm { units: 1 }", "one_hot {}"),
      ("multi_hot", "max_values: 2", "multi_hot {}"),
      ("wide", "max_values: 2 weight_column: 'w'", "", "WIDE"),
      ("none", "", _OTHER, "DEEP",
       ".max_values: found nothing; allowed: at least 1"),
      ("zero", "max_values: 0 separator: ''", _OTHER, "DEEP",
       ".max_values: found 0; allowed: at least 1",
       ".separator: found ''; allowed: at least one character"),
      ("no_units", "max_values: 1 lstm {}", _OTHER, "DEEP",
       ".lstm.units: found nothing; allowed: at least 1"),
      ("units", "max_values: 1 gru { units: -1 }", _OTHER, "DEEP",
       ".gru.units: found -1; allowed: at least 1"),
      ("lstm_with_weights", "max_values: 1 lstm { units: 1 } weight_column: "
       "'w'", _OTHER, "DEEP", ".lstm: found it with weights; allowed: without"),
      ("gru_wide", "max_values: 1 gru { units: 1 }", "one_hot {}",
       "WIDE_AND_DEEP", ".gru: found it with use: WIDE; allowed: without"),
      ("gru_multi_hot", "max_values: 1 gru { units: 1 }", "multi_hot {}",
       "DEEP", ".gru: found it with multi_hot; allowed: without"),
      ("largest_of_weights", "max_values: 1 combiner: MAX weight_column: 'w'",
       _OTHER, "DEEP", ".weight_column: found it with combiner: MAX; allowed: "
       "with MEAN, SUM and SQRTN"),
      ("multi_hot_weights", "max_values: 1 weight_column: 'w'", "multi_hot {}",
       "DEEP", ".weight_column: found it with multi_hot; allowed: with "
       "one_hot, or embedding_dimension"),
      ("multi_hot_combined", "max_values: 1 combiner: MEAN", "multi_hot {}",
       "DEEP", ".combiner: found it with multi_hot, which has 0 and 1 only; "
       "allowed: with one_hot, or embedding_dimension"))
  def test_values(self, values, representation="embedding_dimension: 2",
                  use="DEEP", *expected):
    if "num_buckets" not in representation:
      representation = f"num_buckets: 3 {representation}"
    self._assert_problems(
        f"categorical {{ {representation} values {{ {values} }} }} use: {use}",
        [f".values{problem}" for problem in expected])


class ImageTest(_Case):

  @parameterized.named_parameters(
      ("plain", "image { height: 1 width: 1 }"),
      ("all", "image { height: 2 width: 1 channels: 3 divisor: 0.5 } encoder { "
       "layer { flatten {} } }"),
      ("empty", "image {}", ".image.height: found nothing; allowed: at least 1",
       ".image.width: found nothing; allowed: at least 1"),
      ("zero", "image { height: 0 width: -1 channels: 0 divisor: 0 }",
       ".image.height: found 0; allowed: at least 1",
       ".image.width: found -1; allowed: at least 1",
       ".image.channels: found 0; allowed: at least 1",
       ".image.divisor: found 0.0; allowed: above 0"),
      ("wide", "image { height: 1 width: 1 } use: WIDE",
       ".use: found WIDE on an image; allowed: DEEP"),
      ("wide_and_deep", "image { height: 1 width: 1 } use: WIDE_AND_DEEP",
       ".use: found WIDE_AND_DEEP on an image; allowed: DEEP"))
  def test_images(self, feature, *expected):
    self._assert_problems(feature, expected)

  def test_from_text(self):
    self._assert_problems(
        "image { height: 1 width: 1 }",
        [".image: found an image in .csv files; allowed: in .npz, TFRecord and "
         "Parquet files, and arrays"], reads_text=True)


class CrossTest(_Case):

  def _assert_cross(self, feature, expected, before=_TWO):
    self.assertEqual(_problems(before + f"feature {{ name: 'x' {feature} }}"),
                     [f"data.feature[2]{problem}" for problem in expected])

  @parameterized.named_parameters(
      ("good", "cross { feature: ['c', 'd'] hash_buckets: 1 one_hot {} }"),
      ("wide", "cross { feature: ['d', 'c'] hash_buckets: 1 } use: WIDE"),
      ("all", "cross { feature: ['d', 'c'] hash_buckets: 1 embedding_dimension:"
       " 2 initializer { uniform: 1 } regularization { l1: 1 } } use: "
       "WIDE_AND_DEEP encoder { layer { dense { units: 1 } } }"),
      ("empty", "cross {}",
       ".cross.feature: found 0; allowed: at least two",
       ".cross.hash_buckets: found nothing; allowed: at least 1",
       ".cross.embedding_dimension: found nothing; allowed: one of "
       "embedding_dimension, one_hot"),
      ("one", "cross { feature: 'c' hash_buckets: 0 one_hot {} }",
       ".cross.feature: found 1; allowed: at least two",
       ".cross.hash_buckets: found 0; allowed: at least 1"),
      ("twice", "cross { feature: ['c', 'c'] hash_buckets: 1 one_hot {} }",
       ".cross.feature[1]: found 'c' a second time; allowed: each once"),
      ("itself", "cross { feature: ['c', 'x'] hash_buckets: 1 one_hot {} }",
       ".cross.feature[1]: found 'x'; allowed: a categorical feature with one "
       "value per row that stands before the cross: c, d"),
      ("column", "column: 'y' cross { feature: ['c', 'd'] hash_buckets: 1 "
       "one_hot {} }",
       ".column: found 'y'; allowed: nothing, as a cross reads no column"),
      ("wide_with_embedding", "cross { feature: ['c', 'd'] hash_buckets: 1 "
       "embedding_dimension: 1 } use: WIDE",
       f".cross.embedding_dimension: {_DEEP_ONLY}"),
      ("width", "cross { feature: ['c', 'd'] hash_buckets: 1 "
       "embedding_dimension: 0 }",
       ".cross.embedding_dimension: found 0; allowed: at least 1"),
      ("no_table", "cross { feature: ['c', 'd'] hash_buckets: 1 one_hot {} "
       "initializer { uniform: 1 } }", f".cross.initializer: {_NO_TABLE}"),
      ("cross_only", "cross { feature: ['c', 'd'] hash_buckets: 1 } use: "
       "CROSS_ONLY", ".use: found CROSS_ONLY with cross; allowed: with "
       "categorical"))
  def test_crosses(self, feature, *expected):
    self._assert_cross(feature, expected)

  @parameterized.named_parameters(
      ("number", "numeric {}"),
      ("set", "categorical { num_buckets: 3 one_hot {} values { max_values: 2 "
       "} }"),
      ("cross", "cross { feature: ['c', 'd'] hash_buckets: 1 one_hot {} }"))
  def test_of_what_has_no_single_category(self, feature):
    problems = _problems(
        f"{_TWO} feature {{ name: 'city' {feature} }} feature {{ name: 'x' "
        "cross { feature: ['city', 'c'] hash_buckets: 1 one_hot {} } }")
    self.assertEqual(problems, [
        "data.feature[3].cross.feature[0]: found 'city'; allowed: a categorical"
        " feature with one value per row that stands before the cross: c, d"])

  def test_of_what_stands_behind_or_is_misspelt(self):
    self.assertEqual(_problems(
        "feature { name: 'city' categorical { num_buckets: 3 one_hot {} } } "
        "feature { name: 'x' cross { feature: ['ctiy', 'd'] hash_buckets: 1 "
        "one_hot {} } } "
        "feature { name: 'd' categorical { num_buckets: 3 one_hot {} } }"), [
            "data.feature[1].cross.feature[0]: found 'ctiy'; allowed: a "
            "categorical feature with one value per row that stands before the "
            "cross; nearest: 'city'",
            "data.feature[1].cross.feature[1]: found 'd'; allowed: a "
            "categorical feature with one value per row that stands before the "
            "cross: city"])


class SharedEmbeddingTest(parameterized.TestCase):
  _DISAGREE = ("found 't' shared by features with other categories or another "
               "embedding; allowed: the same on all that share it")

  def _problems(self, first, second, name="t"):
    found = _problems("".join(f"""
        feature {{ name: "{feature}" categorical {{
            shared_embedding: "{name}" {text} }} }}
        """ for feature, text in (("c", first), ("d", second))))
    ending = ".categorical.shared_embedding: "
    return [p.replace("data.feature", "").replace(ending, " ") for p in found]

  @parameterized.named_parameters(
      ("same", _OTHER, _OTHER),
      ("one_of_several", _OTHER, f"{_OTHER} values {{ max_values: 3 }}"),
      ("in_order", "vocabulary: ['a', 'b'] embedding_dimension: 1",
       "vocabulary: ['a', 'b'] embedding_dimension: 1"))
  def test_may_share(self, first, second):
    self.assertEmpty(self._problems(first, second))

  @parameterized.named_parameters(
      ("width", "num_buckets: 3 embedding_dimension: 3"),
      ("categories", "num_buckets: 4 embedding_dimension: 2"),
      ("kind_of_categories", "hash_buckets: 3 embedding_dimension: 2"),
      ("initializer", f"{_OTHER} initializer {{ constant: 1 }}"),
      ("regularization", f"{_OTHER} regularization {{ l2: 1 }}"))
  def test_must_agree(self, second):
    self.assertEqual(self._problems(_OTHER, second), [f"[1] {self._DISAGREE}"])

  def test_categories_in_another_order_are_others(self):
    self.assertEqual(self._problems(
        "vocabulary: ['a', 'b'] embedding_dimension: 1",
        "vocabulary: ['b', 'a'] embedding_dimension: 1"),
                     [f"[1] {self._DISAGREE}"])

  @parameterized.parameters(
      ("counted_vocabulary", "counted_vocabulary { capacity: 3 }"),
      ("quantile_buckets", "quantile_buckets: 3"))
  def test_each_feature_would_measure_its_own(self, field, domain):
    text = f"{domain} embedding_dimension: 2"
    self.assertEqual(self._problems(text, text), [
        f"[{i}] found it with {field}; allowed: with categories that the "
        "experiment states" for i in range(2)])

  def test_names(self):
    self.assertEqual(self._problems(_OTHER, _OTHER, "d"), [
        f"[{i}] found 'd', which is a feature; allowed: a name that no feature "
        "has" for i in range(2)])
    self.assertEqual(self._problems(_OTHER, _OTHER, "a/b"), [
        f"[{i}] found 'a/b'; allowed: a lower-case letter, then lower-case "
        "letters, digits and '_'" for i in range(2)])


if __name__ == "__main__":
  absltest.main()
