"""Finds what is wrong with the features of an experiment."""

from typing import Sequence

from mtl_graph import config
from mtl_graph import field_checks
from mtl_graph import layer_checks
from mtl_graph import outline
from mtl_graph import vocabularies
from mtl_graph.protos import features_pb2

_Feature = features_pb2.Feature
_COUNTS = ("num_buckets", "hash_buckets", "quantile_buckets")


def check(features: Sequence[_Feature], reads_text: bool,
          report: field_checks.Report) -> None:
  """Reports what is wrong with features.

  Args:
    features: The `Feature` messages.
    reads_text: Whether a field of the training rows is known to be text.
    report: Takes a field's path and its problem.
  """
  if not features:
    report("data.feature", "found none; allowed: at least one")
  # TensorFlow would give a variable of the run's state another name.
  field_checks.names(features, "data.feature", report,
                     field_checks.RESERVED_NAMES + ("run_state",))
  for i, feature in enumerate(features):
    path = f"data.feature[{i}]"
    kind = field_checks.kind_of(feature, "kind", path, report)
    if kind == "numeric":
      _check_numeric(feature.numeric, reads_text, f"{path}.numeric", report)
    elif kind == "categorical":
      _check_categorical(feature, f"{path}.categorical", report)
    elif kind == "image":
      _check_image(feature, reads_text, path, report)
    elif kind == "cross":
      _check_cross(feature, features[:i], path, report)
    layer_checks.check(feature.encoder.layer, f"{path}.encoder", report)
    if feature.encoder.layer and not outline.is_deep(feature):
      report(f"{path}.encoder", "found it on a feature that is not in the deep "
             "part; allowed: with use: DEEP or WIDE_AND_DEEP")
    if feature.use == _Feature.CROSS_ONLY and kind is not None:
      if kind != "categorical":
        report(f"{path}.use", f"found CROSS_ONLY with {kind}; allowed: with "
               "categorical")
      elif not any(feature.name in f.cross.feature for f in features):
        report(f"{path}.use", "found CROSS_ONLY on a feature that no cross "
               "reads; allowed: on those that one does")
  _check_shared(features, report)


def _check_numeric(numeric, reads_text, path, report) -> None:
  field_checks.at_least(numeric, "size", 1, path, report)
  if reads_text and numeric.size > 1 and not numeric.separator:
    report(f"{path}.size", f"found {numeric.size} without a separator; allowed:"
           " 1 from .csv files, more with a separator or from other files")
  if numeric.HasField("separator") and not numeric.separator:
    report(f"{path}.separator", "found ''; allowed: at least one character")
  if numeric.normalization == features_pb2.LOG1P and numeric.missing_value < 0:
    report(f"{path}.missing_value", f"found {numeric.missing_value:g}; allowed:"
           " at least 0 under LOG1P")


def _check_categorical(feature, path, report) -> None:
  categorical = feature.categorical
  _check_domain(categorical, path, report)
  _check_representation(feature, categorical, path, report)
  if categorical.HasField("capacity"):
    entries = len(vocabularies.entries_or_none(categorical))
    if (categorical.HasField("counted_vocabulary") or not (
        categorical.vocabulary or categorical.vocabulary_file)):
      report(f"{path}.capacity", "found it without vocabulary or "
             "vocabulary_file; allowed: with one of them only")
    elif categorical.capacity < entries:
      report(f"{path}.capacity", f"found {categorical.capacity} for {entries} "
             f"entries; allowed: at least {entries}")
  if categorical.HasField("values"):
    _check_values(feature, f"{path}.values", report)
  elif categorical.WhichOneof("representation") == "multi_hot":
    report(f"{path}.multi_hot", "found it without values; allowed: one_hot for "
           "one category per row")
  if categorical.HasField("shared_embedding"):
    field_checks.names(
        [_Feature(name=categorical.shared_embedding)],
        f"{path}.shared_embedding", lambda where, problem: report(
            f"{path}.shared_embedding", problem))


def _check_domain(categorical, path, report) -> None:
  stated = []
  if categorical.HasField("counted_vocabulary"):
    stated.append("counted_vocabulary")
    where = f"{path}.counted_vocabulary"
    field_checks.at_least(categorical.counted_vocabulary, "capacity", 1, where,
                          report)
    field_checks.at_least(categorical.counted_vocabulary, "min_count", 1, where,
                          report)
  if categorical.boundary:
    stated.append("boundary")
    for i, (low, high) in enumerate(zip(categorical.boundary,
                                        categorical.boundary[1:])):
      if not low < high:
        report(f"{path}.boundary[{i + 1}]", f"found {high:g} behind {low:g}; "
               "allowed: rising numbers")
  if (stated == ["counted_vocabulary"] and categorical.vocabulary
      and not any(map(categorical.HasField, _COUNTS + ("vocabulary_file",)))):
    # Of a run that has counted already.
    if len(categorical.vocabulary) > categorical.counted_vocabulary.capacity:
      report(f"{path}.vocabulary", f"found {len(categorical.vocabulary)} "
             "entries; allowed: at most counted_vocabulary.capacity, "
             f"{categorical.counted_vocabulary.capacity}")
    field_checks.each_once(categorical.vocabulary, f"{path}.vocabulary", report)
    return
  least = {"quantile_buckets": 2}
  field_checks.domain(categorical, _COUNTS, least, path, report, stated,
                      ("counted_vocabulary", "boundary"))


def _check_representation(feature, message, path, report) -> None:
  kind = message.WhichOneof("representation")
  if kind is None and outline.is_deep(feature):
    names = [f.name for f in
             message.DESCRIPTOR.oneofs_by_name["representation"].fields]
    report(f"{path}.embedding_dimension", "found nothing; allowed: one of "
           + ", ".join(names))
  elif kind == "embedding_dimension":
    field_checks.at_least(message, "embedding_dimension", 1, path, report)
  if kind is not None and not outline.is_deep(feature):
    report(f"{path}.{kind}", "found it on a feature that is not in the deep "
           "part; allowed: with use: DEEP or WIDE_AND_DEEP")
  if kind != "embedding_dimension":
    for field in ("initializer", "regularization", "shared_embedding"):
      if field in message.DESCRIPTOR.fields_by_name and message.HasField(field):
        report(f"{path}.{field}", "found it without a table of embeddings; "
               "allowed: with embedding_dimension only")
  layer_checks.check_weights(message, path, report)


def _check_values(feature, path, report) -> None:
  values, recurrent = feature.categorical.values, outline.recurrent_of(feature)
  field_checks.at_least(values, "max_values", 1, path, report)
  if not values.separator:
    report(f"{path}.separator", "found ''; allowed: at least one character")
  if recurrent is not None:
    field_checks.at_least(getattr(values, recurrent), "units", 1,
                          f"{path}.{recurrent}", report)
    for problem, present in (
        ("weights", values.HasField("weight_column")),
        ("use: WIDE", outline.is_wide(feature)),
        ("multi_hot", feature.categorical.HasField("multi_hot"))):
      if present:
        report(f"{path}.{recurrent}", f"found it with {problem}; allowed: "
               "without")
  if values.HasField("weight_column"):
    if values.combiner == features_pb2.MAX and recurrent is None:
      report(f"{path}.weight_column", "found it with combiner: MAX; allowed: "
             "with MEAN, SUM and SQRTN")
    if feature.categorical.HasField("multi_hot"):
      report(f"{path}.weight_column", "found it with multi_hot; allowed: with "
             "one_hot, or embedding_dimension")
  if feature.categorical.HasField("multi_hot") and values.HasField("combiner"):
    report(f"{path}.combiner", "found it with multi_hot, which has 0 and 1 only"
           "; allowed: with one_hot, or embedding_dimension")


def _check_image(feature, reads_text, path, report) -> None:
  for field in ("height", "width", "channels"):
    field_checks.at_least(feature.image, field, 1, f"{path}.image", report)
  field_checks.above_zero(feature.image, "divisor", f"{path}.image", report)
  if outline.is_wide(feature):
    report(f"{path}.use", f"found {_Feature.Use.Name(feature.use)} on an image;"
           " allowed: DEEP")
  if reads_text:
    report(f"{path}.image", "found an image in .csv files; allowed: in .npz, "
           "TFRecord and Parquet files, and arrays")


def _check_cross(feature, before, path, report) -> None:
  cross, known = feature.cross, {f.name: f for f in before}
  if feature.column:
    report(f"{path}.column", f"found '{feature.column}'; allowed: nothing, as "
           "a cross reads no column")
  path = f"{path}.cross"
  if len(cross.feature) < 2:
    report(f"{path}.feature", f"found {len(cross.feature)}; allowed: at least "
           "two")
  for i, name in enumerate(cross.feature):
    where = f"{path}.feature[{i}]"
    usable = [n for n, f in known.items()
              if f.WhichOneof("kind") == "categorical"
              and not f.categorical.HasField("values")]
    if name not in usable:
      report(where, f"found '{name}'; allowed: a categorical feature with one "
             "value per row that stands before the cross"
             + (config.nearest(name, usable) or
                f": {', '.join(usable) or 'there is none'}"))
    elif name in cross.feature[:i]:
      report(where, f"found '{name}' a second time; allowed: each once")
  field_checks.at_least(cross, "hash_buckets", 1, path, report)
  _check_representation(feature, cross, path, report)


def _check_shared(features, report) -> None:
  """Reports features that share a table and disagree about it."""
  first = {}
  names = {f.name for f in features}
  for i, feature in enumerate(features):
    shared = feature.categorical.shared_embedding
    if feature.WhichOneof("kind") != "categorical" or not shared:
      continue
    path = f"data.feature[{i}].categorical.shared_embedding"
    if shared in names:
      report(path, f"found '{shared}', which is a feature; allowed: a name that"
             " no feature has")
    for field in ("counted_vocabulary", "quantile_buckets"):
      # Each feature would make categories of its own of what it reads.
      if feature.categorical.HasField(field):
        report(path, f"found it with {field}; allowed: with categories that "
               "the experiment states")
    description = _table(feature.categorical)
    if first.setdefault(shared, description) != description:
      report(path, f"found '{shared}' shared by features with other categories "
             "or another embedding; allowed: the same on all that share it")


def _table(categorical):
  """Returns everything in which features that share a table must agree."""
  copy = features_pb2.Categorical()
  copy.CopyFrom(categorical)
  copy.ClearField("values")
  return copy.SerializeToString(deterministic=True)
