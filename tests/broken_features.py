"""Features that cannot be, and what must be said of each."""

import functools

from tests import small_experiment

_wide = functools.partial(small_experiment.line_case, base="wide")
_image = functools.partial(small_experiment.line_case, base="image")
_content = small_experiment.content

# The features of `wide_experiment.TEXT` by name.
_FEATURES = {name: f"data.feature[{i}]" for i, name in enumerate((
    "age", "scores", "city", "hour", "city_hour", "tags", "home", "visits",
    "height", "income", "hobbies"))}
_DOMAINS = ("num_buckets, hash_buckets, quantile_buckets, vocabulary, "
            "vocabulary_file, counted_vocabulary, boundary")
_NOT_DEEP = ("found it on a feature that is not in the deep part; allowed: "
             "with use: DEEP or WIDE_AND_DEEP")
_NO_TABLE = ("found it without a table of embeddings; allowed: with "
             "embedding_dimension only")
_DISAGREE = ("found 'place' shared by features with other categories or "
             "another embedding; allowed: the same on all that share it")
_NAME = "a lower-case letter, then lower-case letters, digits and '_'"


def _at(name, feature, field, value, problem, *others, **more):
  """A field of a feature of the wide experiment with another value."""
  path = f"{_FEATURES[feature]}.{field}"
  return _wide(name, f"{path}={value}", f"{path}: {problem}", *others, **more)


def _categorical(name, feature, value, field, problem, **more):
  """Another `categorical` of a feature, and what is said of a part of it."""
  path = f"{_FEATURES[feature]}.categorical"
  return _wide(name, f"{path}={{{value}}}",
               f"{path}{field and '.'}{field}: {problem}", **more)


NUMERIC = (
    _at("vector_size_negative", "scores", "numeric.size", "-3",
        "found -3; allowed: at least 1"),
    _wide("vector_without_separator", "data.feature[1].numeric={size: 3}",
          "data.feature[1].numeric.size: found 3 without a separator; allowed: "
          "1 from .csv files, more with a separator or from other files",
          process=True),
    _wide("separator_of_nothing", "data.feature[1].numeric.separator=",
          "data.feature[1].numeric.size: found 3 without a separator; ...",
          "data.feature[1].numeric.separator: found ''; allowed: at least one "
          "character"),
    _wide("missing_value_below_log1p",
          "data.feature[0].numeric={normalization: LOG1P missing_value: -1}",
          "data.feature[0].numeric.missing_value: found -1; allowed: at least "
          "0 under LOG1P"),
    _at("missing_value_underflows", "age", "numeric.missing_value", "1e-60",
        "found 1e-60, which 32-bit floating point takes for 0; allowed: what "
        "it tells from 0"),
    _wide("normalization_unknown",
          "data.feature[0].numeric.normalization=MINMAX",
          "--set data.feature[0].numeric.normalization: found 'MINMAX'; no "
          "value 'MINMAX' in mtl_graph.Normalization; allowed: NONE, Z_SCORE, "
          "LOG1P, MIN_MAX; nearest: 'MIN_MAX'"),
    _wide("numeric_cross_only", "data.feature[1].use=CROSS_ONLY",
          "data.feature[1].encoder: " + _NOT_DEEP,
          "data.feature[1].use: found CROSS_ONLY ...",
          "training.group[0].scope[2]: no trainable variable lies in scope "
          "'encoder'; ..."),
    _wide("use_unknown", "data.feature[0].use=WIDER",
          "--set data.feature[0].use: found 'WIDER'; no value 'WIDER' in "
          "mtl_graph.Feature.Use; allowed: DEEP, WIDE, WIDE_AND_DEEP, "
          "CROSS_ONLY; nearest: 'WIDE'"),
    _at("feature_of_the_runs_state", "age", "name", "run_state",
        "found 'run_state', which is reserved; allowed: any name but shared, "
        "total, serving_default, predict_examples, run_state"),
)

CATEGORIES = (
    _categorical("categories_of_nothing", "city", "one_hot {}", "",
                 f"found none of {_DOMAINS}; allowed: exactly one"),
    _categorical("counted_and_from_a_file", "tags",
                 "counted_vocabulary { capacity: 6 } embedding_dimension: 3 "
                 "vocabulary_file: 'tags.txt' values { max_values: 3 }", "",
                 "found vocabulary_file and counted_vocabulary of "
                 f"{_DOMAINS}; allowed: exactly one"),
    _categorical("boundaries_and_buckets", "height",
                 "boundary: 1.5 num_buckets: 3", "",
                 f"found num_buckets and boundary of {_DOMAINS}; allowed: "
                 "exactly one"),
    _categorical("quantiles_and_boundaries", "income",
                 "boundary: 1.5 quantile_buckets: 3 one_hot {}", "",
                 f"found quantile_buckets and boundary of {_DOMAINS}; allowed: "
                 "exactly one"),
    _at("capacity_too_small", "city", "categorical.capacity", "2",
        "found 2 for 3 entries; allowed: at least 3"),
    _at("capacity_0", "city", "categorical.capacity", "0",
        "found 0 for 3 entries; allowed: at least 3"),
    _at("capacity_of_buckets", "income", "categorical.capacity", "9",
        "found it without vocabulary or vocabulary_file; allowed: with one of "
        "them only"),
    _at("capacity_beside_counted", "tags", "categorical.capacity", "9",
        "found it without vocabulary or vocabulary_file; allowed: with one of "
        "them only"),
    _wide("counted_without_capacity",
          "data.feature[5].categorical.counted_vocabulary={}",
          "data.feature[5].categorical.counted_vocabulary.capacity: found "
          "nothing; allowed: at least 1"),
    _at("counted_at_least_0_times", "tags",
        "categorical.counted_vocabulary.min_count", "0",
        "found 0; allowed: at least 1"),
    _wide("counted_beyond_capacity",
          "data.feature[5].categorical.vocabulary=['a','b','c','d','e','f','g'"
          "]", "data.feature[5].categorical.vocabulary: found 7 entries; "
          "allowed: at most counted_vocabulary.capacity, 6"),
    _wide("counted_twice", "data.feature[5].categorical.vocabulary=['a', 'a']",
          "data.feature[5].categorical.vocabulary: found 'a' more than once; "
          "allowed: each entry once"),
    _wide("boundaries_fall", "data.feature[8].categorical.boundary=[1.8, 1.5]",
          "data.feature[8].categorical.boundary[1]: found 1.5 behind 1.8; "
          "allowed: rising numbers"),
    _wide("boundary_twice", "data.feature[8].categorical.boundary=[1.5, 1.5]",
          "data.feature[8].categorical.boundary[1]: found 1.5 behind 1.5; "
          "allowed: rising numbers"),
    _wide("boundary_nan", "data.feature[8].categorical.boundary=[nan]",
          "data.feature[8].categorical.boundary[0]: found nan; allowed: a "
          "finite number"),
    _wide("boundary_infinite", "data.feature[8].categorical.boundary=[1, inf]",
          "data.feature[8].categorical.boundary[1]: found inf; allowed: a "
          "finite number"),
    _at("one_quantile_bucket", "income", "categorical.quantile_buckets", "1",
        "found 1; allowed: at least 2"),
    _at("hash_buckets_of_a_set_0", "hobbies", "categorical.hash_buckets", "0",
        "found 0; allowed: at least 1"),
    _wide("vocabulary_file_is_a_folder",
          "data.feature[2].categorical={vocabulary_file: 'run' one_hot {}}",
          "data.feature[2].categorical.vocabulary_file: no file 'run'; allowed"
          ": an existing file"),
    _wide("capacity_below_a_file",
          "data.feature[2].categorical={vocabulary_file: 'c.txt' capacity: 1 "
          "one_hot {}}", "data.feature[2].categorical.capacity: found 1 for 2 "
          "entries; allowed: at least 2",
          prepare=(_content("c.txt", b"bern\noslo\n"),)),
)

REPRESENTATIONS = (
    _categorical("no_representation", "income", "quantile_buckets: 4",
                 "embedding_dimension", "found nothing; allowed: one of "
                 "embedding_dimension, one_hot, multi_hot"),
    _categorical("representation_of_wide", "height", "boundary: 1 one_hot {}",
                 "one_hot", _NOT_DEEP),
    _at("embedding_of_cross_only", "hour", "categorical.embedding_dimension",
        "2", _NOT_DEEP),
    _at("embedding_dimension_0", "income", "categorical.embedding_dimension",
        "0", "found 0; allowed: at least 1"),
    _wide("two_representations",
          "data.feature[9].categorical={quantile_buckets: 4 one_hot {} "
          "embedding_dimension: 2}", "--set data.feature[9].categorical: found "
          "'{quantile_buckets: 4 one_hot {} embedding_dimension: 2}'; ..."),
    _categorical("multi_hot_of_one_value", "city",
                 "vocabulary: 'bern' multi_hot {}", "multi_hot",
                 "found it without values; allowed: one_hot for one category "
                 "per row"),
    _wide("initializer_without_table",
          "data.feature[2].categorical.initializer={he_normal {}}",
          f"data.feature[2].categorical.initializer: {_NO_TABLE}"),
    _wide("regularization_without_table",
          "data.feature[10].categorical.regularization={l1: 1}",
          f"data.feature[10].categorical.regularization: {_NO_TABLE}"),
    _at("shared_without_table", "hobbies", "categorical.shared_embedding",
        "things", _NO_TABLE),
    _wide("initializer_of_no_kind",
          "data.feature[9].categorical.initializer={}",
          "data.feature[9].categorical.initializer: found no kind; allowed: "
          "one of glorot_uniform, ..."),
    _at("l2_of_embedding_negative", "tags", "categorical.regularization.l2",
        "-1", "found -1.0; allowed: at least 0"),
)

VALUES = (
    _at("max_values_0", "tags", "categorical.values.max_values", "0",
        "found 0; allowed: at least 1"),
    _wide("no_max_values", "data.feature[10].categorical.values={}",
          "data.feature[10].categorical.values.max_values: found nothing; "
          "allowed: at least 1"),
    _at("separator_of_a_set_empty", "hobbies", "categorical.values.separator",
        "", "found ''; allowed: at least one character"),
    _at("units_of_lstm_0", "visits", "categorical.values.lstm.units", "0",
        "found 0; allowed: at least 1"),
    _wide("gru_without_units",
          "data.feature[7].categorical.values={max_values: 3 gru {}}",
          "data.feature[7].categorical.values.gru.units: found nothing; "
          "allowed: at least 1"),
    _wide("weights_of_a_sequence",
          "data.feature[7].categorical.values.weight_column=tag_weights",
          "data.feature[7].categorical.values.lstm: found it with weights; "
          "allowed: without"),
    _wide("wide_sequence", "data.feature[7].use=WIDE_AND_DEEP",
          "data.feature[7].categorical.values.lstm: found it with use: WIDE; "
          "allowed: without"),
    _wide("multi_hot_sequence",
          "data.feature[10].categorical.values.lstm={units: 2}",
          "data.feature[10].categorical.values.lstm: found it with multi_hot; "
          "allowed: without"),
    _wide("largest_of_weighted",
          "data.feature[5].categorical.values.combiner=MAX",
          "data.feature[5].categorical.values.weight_column: found it with "
          "combiner: MAX; allowed: with MEAN, SUM and SQRTN"),
    _at("multi_hot_of_weighted", "hobbies", "categorical.values.weight_column",
        "tag_weights", "found it with multi_hot; allowed: with one_hot, or "
        "embedding_dimension"),
    _at("multi_hot_combined", "hobbies", "categorical.values.combiner", "SUM",
        "found it with multi_hot, which has 0 and 1 only; allowed: with "
        "one_hot, or embedding_dimension"),
)

SHARED = (
    _at("shared_name_of_a_feature", "home", "categorical.shared_embedding",
        "age", "found 'age', which is a feature; allowed: a name that no "
        "feature has"),
    _at("shared_name_upper_case", "home", "categorical.shared_embedding",
        "Place", f"found 'Place'; allowed: {_NAME}"),
    _at("shared_name_reserved", "home", "categorical.shared_embedding", "total",
        "found 'total', which is reserved; allowed: any name but shared, ..."),
    _wide("shared_of_other_width",
          "data.feature[6].categorical.embedding_dimension=3",
          "data.feature[7].categorical.shared_embedding: " + _DISAGREE),
    _wide("shared_of_other_categories",
          "data.feature[7].categorical.num_buckets=8",
          "data.feature[7].categorical.shared_embedding: " + _DISAGREE),
    _wide("shared_started_otherwise",
          "data.feature[6].categorical.initializer={normal: 0.1}",
          "data.feature[7].categorical.shared_embedding: " + _DISAGREE),
    _at("shared_of_counted", "tags", "categorical.shared_embedding", "things",
        "found it with counted_vocabulary; allowed: with categories that the "
        "experiment states"),
)

CROSSES = (
    _wide("cross_of_one", "data.feature[4].cross.feature=['city']",
          "data.feature[3].use: found CROSS_ONLY on a feature that no cross "
          "reads; allowed: on those that one does",
          "data.feature[4].cross.feature: found 1; allowed: at least two"),
    _wide("cross_with_itself", "data.feature[4].cross.feature[0]=hour",
          "data.feature[4].cross.feature[1]: found 'hour' a second time; "
          "allowed: each once"),
    _at("cross_of_unknown", "city_hour", "cross.feature[0]", "citi",
        "found 'citi'; allowed: a categorical feature with one value per row "
        "that stands before the cross; nearest: 'city'"),
    _at("cross_of_a_number", "city_hour", "cross.feature[0]", "age",
        "found 'age'; allowed: a categorical feature with one value per row "
        "that stands before the cross: city, hour"),
    _at("cross_of_a_later_one", "city_hour", "cross.feature[0]", "home",
        "found 'home'; allowed: a categorical feature with one value per row "
        "that stands before the cross..."),
    _at("cross_of_a_set", "city_hour", "cross.feature[0]", "hobbies",
        "found 'hobbies'; allowed: a categorical feature with one value per "
        "row that stands before the cross..."),
    _at("cross_of_itself", "city_hour", "cross.feature[0]", "city_hour",
        "found 'city_hour'; allowed: a categorical feature with one value per "
        "row that stands before the cross..."),
    _wide("cross_without_buckets",
          "data.feature[4].cross={feature: ['city', 'hour'] one_hot {}}",
          "data.feature[4].cross.hash_buckets: found nothing; allowed: at least"
          " 1"),
    _wide("cross_without_representation",
          "data.feature[4].cross={feature: ['city', 'hour'] hash_buckets: 9}",
          "data.feature[4].cross.embedding_dimension: found nothing; allowed: "
          "one of embedding_dimension, one_hot"),
    _at("cross_of_a_column", "city_hour", "column", "city",
        "found 'city'; allowed: nothing, as a cross reads no column"),
    _wide("cross_only_cross", "data.feature[4].use=CROSS_ONLY",
          "data.feature[4].cross.embedding_dimension: " + _NOT_DEEP,
          "data.feature[4].use: found CROSS_ONLY ..."),
)

ENCODERS = (
    _wide("encoder_of_wide",
          "data.feature[8].encoder={layer {dense {units: 2}}}",
          f"data.feature[8].encoder: {_NOT_DEEP}"),
    _wide("encoder_of_cross_only",
          "data.feature[3].encoder={layer {dense {units: 2}}}",
          f"data.feature[3].encoder: {_NOT_DEEP}"),
    _wide("encoder_of_no_kind", "data.feature[1].encoder.layer[0]={}",
          "data.feature[1].encoder.layer[0]: found no kind; allowed: one of "
          "dense, dropout, batch_normalization, ..."),
    _at("encoder_without_width", "scores", "encoder.layer[0].dense.units", "0",
        "found 0; allowed: at least 1"),
    _wide("encoder_with_windows",
          "data.feature[1].encoder.layer[1]={max_pooling {size: 2}}",
          "data.feature[1].encoder.layer[1].max_pooling: found a vector of 4 "
          "numbers as its input; allowed: an image"),
    _wide("held_encoder_misspelt", "model.stop_gradient=['encoder/score/dense'"
          "]", "model.stop_gradient[0]: no tensor 'encoder/score/dense'; "
          "allowed: the output of a layer by its scope; nearest: "
          "'encoder/scores/dense', ..."),
    _wide("held_embedding_of_one_hot", "model.stop_gradient=['embedding/city']",
          "model.stop_gradient[0]: no tensor 'embedding/city'; allowed: ..."),
)

IMAGES = (
    _image("image_without_height",
           "data.feature[1].image={width: 6 divisor: 1}",
           "data.feature[1].image.height: found nothing; allowed: at least 1"),
    _image("image_width_0", ["data.feature[0].image.width=0",
                             "data.feature[1].image.width=0"],
           "data.feature[0].image.width: found 0; allowed: at least 1",
           "data.feature[1].image.width: found 0; allowed: at least 1"),
    _image("image_channels_negative", "data.feature[0].image.channels=-2",
           "data.feature[0].image.channels: found -2; allowed: at least 1"),
    _image("image_divisor_0", "data.feature[0].image.divisor=0",
           "data.feature[0].image.divisor: found 0.0; allowed: above 0"),
    _image("image_divisor_underflows", "data.feature[0].image.divisor=1e-60",
           "data.feature[0].image.divisor: found 1e-60, which 32-bit floating "
           "point takes for 0; allowed: what it tells from 0"),
    _image("wide_image", "data.feature[1].use=WIDE_AND_DEEP",
           "data.feature[1].use: found WIDE_AND_DEEP on an image; allowed: "
           "DEEP", process=True),
    _image("image_beside_a_vector", "data.feature[2].use=DEEP",
           "data.feature[2]: found 2 numbers beside 8 x 6 x 2; allowed: "
           "features that are all vectors, or all images of one size, as an "
           "encoder with flatten or global pooling makes them"),
    _image("images_of_two_sizes", "data.feature[1].image.height=4",
           "data.feature[1]: found 4 x 6 x 1 beside 8 x 6 x 2; allowed: ..."),
    _image("one_image_flat",
           "data.feature[1].encoder={layer {flatten {}}}",
           "data.feature[1]: found 48 numbers beside 8 x 6 x 2; allowed: ..."),
    _wide("image_in_csv", "data.feature[0]={name: 'photo' image {height: 2 "
          "width: 2} encoder {layer {flatten {}}}}",
          "data.feature[0].image: found an image in .csv files; allowed: in "
          ".npz, TFRecord and Parquet files, and arrays"),
)

CASES = (NUMERIC + CATEGORIES + REPRESENTATIONS + VALUES + SHARED + CROSSES
         + ENCODERS + IMAGES)
