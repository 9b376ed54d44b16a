"""What an Estimator's export takes and gives, and the signatures of it."""

import collections
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

import tensorflow.compat.v1 as tf

_SIGNATURES = tf.saved_model.signature_def_utils


class PredictOutput(collections.namedtuple("PredictOutput", ["outputs"])):
  """Tensors by name; pairs of names are joined by a slash."""

  def __new__(cls, outputs: Any):
    if not isinstance(outputs, Mapping):
      outputs = {"output": outputs}
    return super().__new__(cls, {
        "/".join(key) if isinstance(key, tuple) else key:
        tf.convert_to_tensor(value) for key, value in outputs.items()})

  def as_signature_def(self, receivers: Mapping[str, tf.Tensor]):
    """Returns the signature of these outputs."""
    return _SIGNATURES.predict_signature_def(receivers, self.outputs)


class ClassificationOutput(collections.namedtuple(
    "ClassificationOutput", ["scores", "classes"])):
  """Scores and classes, or one of them, of each row."""

  def __new__(cls, scores: Optional[tf.Tensor] = None,
              classes: Optional[tf.Tensor] = None):
    if scores is None and classes is None:
      raise ValueError("ClassificationOutput: found nothing; required: scores "
                       "or classes")
    if scores is not None and not scores.dtype.is_floating:
      raise ValueError(f"scores: found {scores.dtype.name}; allowed: floating "
                       "point")
    if classes is not None and classes.dtype != tf.string:
      raise ValueError(f"classes: found {classes.dtype.name}; allowed: string")
    return super().__new__(cls, scores, classes)

  def as_signature_def(self, receivers: Mapping[str, tf.Tensor]):
    """Returns the signature of these outputs, of serialized examples."""
    return _SIGNATURES.classification_signature_def(
        _examples(receivers), self.classes, self.scores)


class RegressionOutput(collections.namedtuple("RegressionOutput", ["value"])):
  """A number, or several, of each row."""

  def __new__(cls, value: tf.Tensor):
    if not value.dtype.is_floating:
      raise ValueError(f"value: found {value.dtype.name}; allowed: floating "
                       "point")
    return super().__new__(cls, value)

  def as_signature_def(self, receivers: Mapping[str, tf.Tensor]):
    """Returns the signature of these outputs, of serialized examples."""
    return _SIGNATURES.regression_signature_def(_examples(receivers),
                                                self.value)


OUTPUTS = (PredictOutput, ClassificationOutput, RegressionOutput)


class ServingInputReceiver(collections.namedtuple(
    "ServingInputReceiver",
    ["features", "receiver_tensors", "receiver_tensors_alternatives"])):
  """Features of a request, and the placeholders that it is fed to.

  Attributes:
    features: What the `model_fn` gets: a tensor, or tensors by name.
    receiver_tensors: Placeholders by name; one by itself is called "input".
    receiver_tensors_alternatives: Other such placeholders, by a name that goes
      before the names of their signatures; or None.
  """

  def __new__(
      cls, features: Any, receiver_tensors: Any,
      receiver_tensors_alternatives: Optional[Mapping[str, Any]] = None):
    return super().__new__(cls, features, _by_name(receiver_tensors), {
        name: _by_name(tensors) for name, tensors in
        (receiver_tensors_alternatives or {}).items()})


def build_parsing_serving_input_receiver_fn(
    feature_spec: Mapping[str, Any], default_batch_size: Optional[int] = None
    ) -> Callable[[], ServingInputReceiver]:
  """Returns a function that receives serialized tf.Examples.

  Args:
    feature_spec: `tf.FixedLenFeature`s and the like by name.
    default_batch_size: How many there are; None: any number.

  Returns:
    A function without arguments that returns a `ServingInputReceiver`.
  """
  def receive() -> ServingInputReceiver:
    examples = tf.placeholder(tf.string, [default_batch_size],
                              "input_example_tensor")
    return ServingInputReceiver(tf.parse_example(examples, feature_spec),
                                {"examples": examples})
  return receive


def build_raw_serving_input_receiver_fn(
    features: Mapping[str, tf.Tensor], default_batch_size: Optional[int] = None
    ) -> Callable[[], ServingInputReceiver]:
  """Returns a function that receives features themselves.

  Args:
    features: Tensors by name; of each its type and shape count.
    default_batch_size: How many rows there are; None: any number.

  Returns:
    A function without arguments that returns a `ServingInputReceiver`.
  """
  def receive() -> ServingInputReceiver:
    received = collections.OrderedDict()
    for name, tensor in features.items():
      shape = None if tensor.shape.rank is None else [
          default_batch_size, *tensor.shape.as_list()[1:]]
      received[name] = tf.placeholder(tensor.dtype, shape, tensor.op.name)
    return ServingInputReceiver(received, dict(received))
  return receive


def signatures(receiver: ServingInputReceiver, outputs: Mapping[str, Any]
               ) -> Tuple[Dict[str, Any], Dict[str, str]]:
  """Returns the signatures of a model.

  Args:
    receiver: What receives requests.
    outputs: Outputs by the name of their signature.

  Returns:
    Signatures by name, and what those were refused for that there are not:
    to classify or to regress takes serialized examples.
  """
  found, refused = {}, {}
  receivers = {"": receiver.receiver_tensors}
  receivers.update((f"{name}:", tensors) for name, tensors in
                   receiver.receiver_tensors_alternatives.items())
  for prefix, tensors in receivers.items():
    for name, output in outputs.items():
      try:
        found[prefix + name] = output.as_signature_def(tensors)
      except ValueError as error:
        refused[prefix + name] = str(error)
  return found, refused


def _by_name(tensors) -> Dict[str, tf.Tensor]:
  return dict(tensors) if isinstance(tensors, Mapping) else {"input": tensors}


def _examples(receivers) -> tf.Tensor:
  """Returns the one tensor of serialized examples."""
  tensors = list(receivers.values())
  if len(tensors) != 1 or tensors[0].dtype != tf.string:
    raise ValueError(
        "found " + ", ".join(f"{name} of {tensor.dtype.name}"
                             for name, tensor in receivers.items())
        + "; allowed: one tensor of serialized tf.Examples")
  return tensors[0]
