"""Writes `SERVING.md`: how this very model is served and called.

Each signature is shown with a real row and what the model answers. The page
lies in `assets.extra`, which servers leave alone and which goes along with a
copy of the version.
"""

import base64
import json
import math
import os
from typing import Any, Dict, Mapping, Optional

import numpy as np

from mtl_graph.serving import json_requests
from mtl_graph.serving import manifest
from mtl_graph.serving import signature_calls
from mtl_graph.serving import warmup

FILE = os.path.join(manifest.EXTRA, "SERVING.md")
# Longer requests lie in files of their own, beside the page.
_LONGEST = 2000
# Characters that no text has stand for the numbers until they are known.
_VERSION, _BEFORE = "\ue000version", "\ue000before"

_TITLE = """# Calling `{name}`

Version {version}{step}, written {written}, answers for {tasks}. Requests and
answers below are of a real row; numbers agree but for the last digit or two.

{table}
"""
_SERVE = """
## Serving it

`EXPORT_DIR` is the folder that holds the versions, `{version}` among them. A
server takes up a new version as soon as it is there, and goes back to the one
before when it is gone.

```sh
docker run --rm -p 8500:8500 -p 8501:8501 \\
  --mount type=bind,source="$EXPORT_DIR",target=/models/{name} \\
  -e MODEL_NAME={name} tensorflow/serving{flags}
```

To have versions side by side, under labels that requests may name
(`/v1/models/{name}/labels/canary:predict`, `model_spec.version_label`), save
this as `models.config` in `EXPORT_DIR`, and append
`--model_config_file=/models/{name}/models.config
--allow_version_labels_for_unavailable_models` in place of `-e MODEL_NAME`:

```
model_config_list {{
  config {{
    name: "{name}"
    base_path: "/models/{name}"
    model_platform: "tensorflow"
    model_version_policy {{ specific {{ {versions} }} }}
    version_labels {{ key: "stable" value: {before} }}
    version_labels {{ key: "canary" value: {version} }}
  }}
}}
```

The Python below needs `grpcio` and `tensorflow-serving-api`, and this first:

```python
import base64
import json
import grpc
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.apis import regression_pb2

stub = prediction_service_pb2_grpc.PredictionServiceStub(
    grpc.insecure_channel("localhost:8500"))


def example(columns):
  found = tf.train.Example()
  for name, values in columns.items():
    values = values if isinstance(values, list) else [values]
    feature = found.features.feature[name]
    if isinstance(values[0], str):
      feature.bytes_list.value.extend(v.encode() for v in values)
    elif isinstance(values[0], int):
      feature.int64_list.value.extend(values)
    else:
      feature.float_list.value.extend(values)
  return found
```
"""
_SIGNATURE = """
## `{name}`

{about}

```sh
curl -X POST http://localhost:8501/v1/models/{model}:{verb} -d {data}
```

answers

```json
{answer}
```

and in Python

```python
{code}
```
"""
_TOGETHER = """
## Several at once

{names} read the same tensor: `MultiInference` of the gRPC interface answers
for all of them in one run of the model.
"""


def write(path: str, content: Mapping[str, Any],
          raw: Mapping[str, np.ndarray]) -> None:
  """Writes the page, but for the number of the version; see `fill_in`.

  Args:
    path: Folder of the version, complete but for this.
    content: What `manifest.write` returned.
    raw: Raw values of real rows, by input.
  """
  model, folder = content["name"], os.path.join(path, manifest.EXTRA)
  row = _whole_row(raw)
  parts = [_title(content), _serve(path, model)]
  with signature_calls.Calls(path) as calls:
    for name, signature in calls.signatures.items():
      feed = calls.feed(name, row) if row else None
      if feed is None:
        parts.append(f"\n## `{name}`\n\n{_about(signature)}\n")
        continue
      request = json_requests.Request(signature, feed, calls.ask(name, feed))
      parts.append(_section(request, model, folder))
    together = warmup.multi_inference(calls.signatures)
    if together:
      parts.append(_TOGETHER.format(names=", ".join(
          f"`{name}`" for name in together)))
  with open(os.path.join(path, FILE), "w", encoding="utf-8") as file:
    file.write("".join(parts))


def fill_in(path: str, version: int, before: Optional[str]) -> None:
  """Writes the number of the version into the page.

  Args:
    path: Folder of the version.
    version: The number.
    before: Path of the version that is in place, or None.
  """
  page = os.path.join(path, FILE)
  with open(page, encoding="utf-8") as file:
    text = file.read()
  stable = os.path.basename(before).lstrip("0") or "0" if before else version
  text = text.replace(_VERSION, str(version)).replace(_BEFORE, str(stable))
  with open(page, "w", encoding="utf-8") as file:
    file.write(text)


def _title(content):
  rows = [["task", "kind", "classes", "outputs"]]
  for name, task in content["tasks"].items():
    classes = ", ".join(task["classes"][:8]) + (
        ", ..." if len(task["classes"]) > 8 else "")
    rows.append([name, task["kind"], classes, ", ".join(task["outputs"])])
  table = "\n".join("| " + " | ".join(row) + " |" for row in [
      rows[0], ["---"] * 4, *rows[1:]])
  return _TITLE.format(
      name=content["name"], version=_VERSION, written=content["written"],
      step="" if content["step"] is None else f" (step {content['step']:,})",
      tasks=", ".join(f"`{name}`" for name in content["tasks"]), table=table)


def _serve(path, name):
  flags = ""
  if os.path.isfile(os.path.join(path, "batching_params.pbtxt")):
    flags = (" \\\n  --enable_batching=true "
             "--enable_per_model_batching_parameters=true")
  return _SERVE.format(
      name=name, version=_VERSION, before=_BEFORE, flags=flags,
      versions=f"versions: {_BEFORE} versions: {_VERSION}")


def _section(request, model, folder):
  """Lays out one signature."""
  body = json.dumps(request.body)
  file = None
  data = f"@- <<'JSON'\n{body}\nJSON"
  if len(body) > _LONGEST:
    file = "requests/" + request.signature.name.replace("/", "-") + ".json"
    os.makedirs(os.path.join(folder, "requests"), exist_ok=True)
    with open(os.path.join(folder, file), "w", encoding="utf-8") as written:
      written.write(body + "\n")
    data = f"@{file}"
  return _SIGNATURE.format(
      name=request.signature.name, model=model, verb=request.verb, data=data,
      about=_about(request.signature), answer=json.dumps(request.answer),
      code=_code(request, model, file))


def _about(signature):
  def describe(tensors, optional=()):
    return ", ".join(
        f"`{key}` ({tensor.dtype.name}"
        + ("" if tensor.shape is None else " " + _shape(tensor.shape))
        + (", may be left out" if key in optional else "") + ")"
        for key, tensor in tensors.items())
  verb = {"predict": "Predicts", "classify": "Classifies",
          "regress": "Regresses"}[json_requests.VERBS[signature.method]]
  return (f"{verb}; takes {describe(signature.inputs, signature.optional)}; "
          f"gives {describe(signature.outputs)}.")


def _shape(shape):
  return "[" + ", ".join("B" if i == 0 and size is None else
                         "any" if size is None else str(size)
                         for i, size in enumerate(shape)) + "]"


def _code(request, model, file):
  """Writes the call in Python."""
  signature, lines = request.signature, []
  kind = {"predict": "predict_pb2.PredictRequest",
          "classify": "classification_pb2.ClassificationRequest",
          "regress": "regression_pb2.RegressionRequest"}[request.verb]
  rows = "instances" if request.verb == "predict" else "examples"
  row, = request.body[rows]
  if file is None:
    shown = row
    if request.verb == "predict" and signature.takes_examples():
      key, = row
      shown = json_requests.columns(base64.b64decode(row[key]["b64"]))
    lines.append(f"row = {_literal(shown)}")
  else:
    lines += [f'with open("{file}") as body:',
              f'  row = json.load(body)["{rows}"][0]']
  lines += [f"request = {kind}()",
            f"request.model_spec.name = {json.dumps(model)}",
            "request.model_spec.signature_name = "
            + json.dumps(signature.name)]
  if request.verb != "predict":
    lines.append("request.input.example_list.examples.append(example(row))")
  elif signature.takes_examples():
    key, = row
    content = ("example(row).SerializeToString()" if file is None
               else f'base64.b64decode(row["{key}"]["b64"])')
    lines.append(f'request.inputs["{key}"].CopyFrom(tf.make_tensor_proto('
                 f"[{content}]))")
  else:
    types = {key: tensor.dtype.name for key, tensor in signature.inputs.items()
             if key in row}
    lines += [f"types = {json.dumps(types)}",
              "for name, value in row.items():",
              "  request.inputs[name].CopyFrom(",
              "      tf.make_tensor_proto([value], types[name]))"]
  lines.append(f"print(stub.{request.verb.capitalize()}(request, 10.0))")
  return "\n".join(lines)


def _literal(value):
  """Writes JSON values as Python, which has no literal for what is no number.
  """
  if isinstance(value, dict):
    return "{" + ", ".join(f"{key!r}: {_literal(one)}"
                           for key, one in value.items()) + "}"
  if isinstance(value, list):
    return "[" + ", ".join(map(_literal, value)) + "]"
  if isinstance(value, float) and not math.isfinite(value):
    return f'float("{value}")'
  return repr(value)


def _whole_row(raw) -> Optional[Dict[str, np.ndarray]]:
  """Returns a row of which nothing is missing, or the first; None: no rows."""
  count = len(next(iter(raw.values()))) if raw else 0
  if not count:
    return None
  whole = np.ones(count, bool)
  for values in raw.values():
    if values.dtype.kind == "f":
      whole &= np.isfinite(values.reshape(count, -1)).all(1)
    elif values.ndim == 1:
      whole &= (values != ("" if values.dtype.kind == "O" else -1))
  row = int(np.argmax(whole))
  return {key: values[row:row + 1] for key, values in raw.items()}
