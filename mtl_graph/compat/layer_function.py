"""The functions of tf.layers, made of its classes."""

import inspect
from typing import Callable, Type

from mtl_graph.compat import layer


def as_function(kind: Type[layer.Layer], doc: str, reuses: bool = True
                ) -> Callable:
  """Makes the function of tf.layers that stands beside a class.

  It takes the inputs, then what the class takes, then `reuse`; a name that it
  is given is the scope of its variables, as it stands.

  Args:
    kind: The class.
    doc: What the function says of itself.
    reuses: Whether it takes `reuse`.

  Returns:
    The function.
  """
  own = [p for p in inspect.signature(kind).parameters.values()
         if p.kind == inspect.Parameter.POSITIONAL_OR_KEYWORD]
  parameters = [inspect.Parameter("inputs", own[0].kind)] + own
  if reuses:
    parameters.append(inspect.Parameter("reuse", own[0].kind, default=None))
  signature = inspect.Signature(parameters)

  def function(*args, **kwargs):
    try:
      given = signature.bind(*args, **kwargs).arguments
    except TypeError as error:
      raise TypeError(f"{function.__name__}: {error}") from None
    inputs = given.pop("inputs")
    if reuses:
      given["_reuse"] = given.pop("reuse", None)
      given["_scope"] = given.get("name")
    return kind(**given)(inputs)

  function.__name__ = function.__qualname__ = layer.snake_case(kind.__name__)
  function.__doc__ = doc
  function.__signature__ = signature
  function.__module__ = kind.__module__
  return function
