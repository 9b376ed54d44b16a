"""Layers that do not fit, and what must be said of each."""

import functools

from tests import small_experiment

_wide = functools.partial(small_experiment.line_case, base="wide")
_image = functools.partial(small_experiment.line_case, base="image")

_TRUNK = "model.hard_sharing.trunk"
_CONV = f"{_TRUNK}.layer[0].conv2d"
_NORM = f"{_TRUNK}.layer[1].batch_normalization"
_POOL = f"{_TRUNK}.layer[2].max_pooling"
_RESIDUAL = f"{_TRUNK}.layer[3].residual"
_LAST = f"{_TRUNK}.layer[5]"
_TOWER = "model.task[1].tower.layer[0]"
_DENSE = f"{_TOWER}.dense"
_IMAGE = "as its input; allowed: an image"
_VECTOR = "allowed: a vector, as flatten or global pooling makes it"
_FITS = "allowed: one that fits in, or padding: SAME"
_PAIR = "allowed: one, or height and width"


def _at(name, path, value, problem, *others, **more):
  """A field of the image experiment with another value."""
  return _image(name, f"{path}={value}", f"{path}: {problem}", *others, **more)


SHAPES = (
    _wide("convolution_of_a_vector",
          f"{_TRUNK}.layer[0]={{conv2d {{filters: 2 kernel_size: 3}}}}",
          f"{_CONV}: found a vector of 31 numbers {_IMAGE}"),
    _image("convolution_behind_flatten", f"{_TRUNK}.layer[2]={{flatten {{}}}}",
           f"{_RESIDUAL}.layer[0].conv2d: found a vector of 192 numbers "
           f"{_IMAGE}"),
    _image("pooling_of_a_vector", f"{_TOWER}={{max_pooling {{size: 2}}}}",
           f"{_TOWER}.max_pooling: found a vector of 20 numbers {_IMAGE}"),
    _image("average_pooling_of_a_vector",
           f"{_TOWER}={{average_pooling {{size: [1, 2]}}}}",
           f"{_TOWER}.average_pooling: found a vector of 20 numbers {_IMAGE}"),
    _image("flatten_twice", f"{_TOWER}={{flatten {{}}}}",
           f"{_TOWER}.flatten: found a vector of 20 numbers {_IMAGE}"),
    _image("global_max_pooling_of_a_vector",
           f"{_TOWER}={{global_max_pooling {{}}}}",
           f"{_TOWER}.global_max_pooling: found a vector of 20 numbers "
           f"{_IMAGE}"),
    _image("global_pooling_twice",
           [f"{_LAST}={{global_average_pooling {{}}}}",
            f"{_TOWER}={{global_average_pooling {{}}}}"],
           f"{_TOWER}.global_average_pooling: found a vector of 5 numbers "
           f"{_IMAGE}"),
    _image("dense_of_an_image", f"{_LAST}={{dense {{units: 3}}}}",
           f"{_LAST}.dense: found an image of 2 x 2 x 5 as its input; "
           f"{_VECTOR}", process=True),
    _image("images_before_heads", [
        f"{_LAST}={{activation {{function: RELU}}}}", "model.task[1].tower={}"],
           f"model.task[0]: found an image of 2 x 2 x 5 before the head; "
           f"{_VECTOR}", f"model.task[1]: found an image of 2 x 2 x 5 ..."),
    _image("image_before_a_tower", [
        f"{_LAST}={{dropout {{rate: 0.5}}}}",
        "model.task[0].tower={layer {flatten {}}}"],
           f"{_DENSE}: found an image of 2 x 2 x 5 as its input; {_VECTOR}"),
    _image("estimate_beside_an_image", [
        f"{_LAST}={{layer_normalization {{}}}}",
        "model.task[0].tower={layer {flatten {}}}",
        "model.task[1].estimate=[{task: 'kind' form: LOGIT}]"],
           "model.task[1].estimate: found it beside an image of 2 x 2 x 5; "
           "allowed: where the shared part ends in a vector"),
    _image("encoder_of_an_image_dense",
           "data.feature[0].encoder={layer {dense {units: 4}}}",
           "data.feature[0].encoder.layer[0].dense: found an image of 8 x 6 x "
           f"2 as its input; {_VECTOR}",
           "data.feature[1]: found 8 x 6 x 1 beside 4 numbers; allowed: ..."),
    _image("residual_of_other_rows",
           f"{_RESIDUAL}.layer[0].conv2d={{filters: 5 kernel_size: [2, 1] "
           "padding: VALID}", f"{_RESIDUAL}: found layers that turn 4 x 3 x 4 "
           "into 3 x 3 x 5; allowed: an output whose size a stride gives"),
    _image("residual_flattens", f"{_LAST}={{residual {{layer {{flatten {{}}}}"
           "}}", f"{_LAST}.residual: found layers that turn 2 x 2 x 5 into 20 "
           "numbers; allowed: an output whose size a stride gives"),
    _image("residual_of_nothing", f"{_RESIDUAL}={{}}",
           f"{_RESIDUAL}.layer: found none; allowed: at least one"),
    _image("residual_within_residual",
           f"{_RESIDUAL}.layer[1]={{residual {{layer {{residual {{layer {{}} "
           "}}}}", f"{_RESIDUAL}.layer[1].residual.layer[0].residual.layer[0]: "
           "found no kind; allowed: one of dense, dropout, ..."),
    _wide("layers_of_wide_features_only",
          ["data.feature=[{name: 'age' numeric {} use: WIDE}]",
           "training.group=[]"],
          f"{_TRUNK}: found layers that have nothing to read, as no feature is "
          "in the deep part; allowed: none",
          "model.task[0].tower: found layers that have nothing to read, ..."),
)

WINDOWS = (
    _at("window_too_high", _POOL, "{size: 9}", "found a window of 9 x 9 on an "
        f"image of 8 x 6 x 4; {_FITS}"),
    _at("window_too_wide", _POOL, "{size: [2, 7]}", "found a window of 2 x 7 "
        f"on an image of 8 x 6 x 4; {_FITS}"),
    _at("kernel_too_high", _CONV, "{filters: 4 kernel_size: [9, 1] padding: "
        f"VALID}}", f"found a window of 9 x 1 on an image of 8 x 6 x 3; {_FITS}"
        ),
    _image("pooled_away", f"{_TRUNK}.layer[4].average_pooling={{size: 3}}",
           f"{_TRUNK}.layer[4].average_pooling: found a window of 3 x 3 on an "
           f"image of 2 x 2 x 5; {_FITS}"),
    _image("window_of_0_pixels", f"{_POOL}.size=[0]",
           f"{_POOL}.size[0]: found 0; allowed: at least 1"),
    _image("window_of_three_sides", f"{_POOL}.size=[1, 2, 3]",
           f"{_POOL}.size: found 3 numbers; {_PAIR}"),
    _image("no_window", f"{_POOL}={{stride: 1}}",
           f"{_POOL}.size: found 0 numbers; {_PAIR}"),
    _image("pooling_stands_still", f"{_POOL}.stride=[0]",
           f"{_POOL}.stride[0]: found 0; allowed: at least 1"),
    _image("stride_negative", f"{_CONV}.stride=[2, -1]",
           f"{_CONV}.stride[1]: found -1; allowed: at least 1"),
    _image("three_strides", f"{_CONV}.stride=[1, 1, 1]",
           f"{_CONV}.stride: found 3 numbers; {_PAIR}, or none"),
    _image("no_filters", f"{_CONV}={{kernel_size: 3}}",
           f"{_CONV}.filters: found nothing; allowed: at least 1"),
    _at("filters_0", f"{_CONV}.filters", "0", "found 0; allowed: at least 1"),
    _image("no_kernel", f"{_CONV}={{filters: 3}}",
           f"{_CONV}.kernel_size: found 0 numbers; {_PAIR}"),
    _image("kernel_negative", f"{_CONV}.kernel_size=[3, -3]",
           f"{_CONV}.kernel_size[1]: found -3; allowed: at least 1"),
    _image("padding_unknown", f"{_CONV}.padding=FULL",
           f"--set {_CONV}.padding: found 'FULL'; no value 'FULL' in "
           "mtl_graph.Padding; allowed: SAME, VALID"),
)

SETTINGS = (
    _at("momentum_1", f"{_NORM}.momentum", "1",
        "found 1; allowed: at least 0 and below 1"),
    _at("momentum_almost_1", f"{_NORM}.momentum", "0.99999999999",
        "found 0.99999999999, which 32-bit floating point takes for 1; allowed:"
        " what it tells from 1"),
    _at("variance_without_epsilon", f"{_NORM}.epsilon", "0",
        "found 0.0; allowed: above 0"),
    _wide("layer_normalization_below_0",
          f"{_TRUNK}.layer[1]={{layer_normalization {{epsilon: -1}}}}",
          f"{_TRUNK}.layer[1].layer_normalization.epsilon: found -1.0; allowed:"
          " above 0"),
    _wide("layer_normalization_underflows",
          f"{_TRUNK}.layer[1]={{layer_normalization {{epsilon: 1e-50}}}}",
          f"{_TRUNK}.layer[1].layer_normalization.epsilon: found 1e-50, which "
          "32-bit floating point takes for 0; allowed: what it tells from 0"),
    _at("nothing_left_of_dropout", f"{_RESIDUAL}.layer[1].dropout.rate",
        "0.999999999999", "found 0.999999999999, which 32-bit floating point "
        "takes for 1; allowed: what it tells from 1"),
    _wide("activation_of_no_function", f"{_TRUNK}.layer[2].activation={{}}",
          f"{_TRUNK}.layer[2].activation.function: found nothing; required"),
    _wide("activation_unknown", f"{_TRUNK}.layer[2].activation.function=RELU7",
          f"--set {_TRUNK}.layer[2].activation.function: found 'RELU7'; no "
          "value 'RELU7' in mtl_graph.Activation; allowed: IDENTITY, ..."),
    _wide("layer_of_two_kinds",
          f"{_TRUNK}.layer[2]={{flatten {{}} dense {{}}}}",
          f"--set {_TRUNK}.layer: found '{{flatten {{}} dense {{}}}}'; ..."),
)

WEIGHTS = (
    _at("initializer_without_kind", f"{_DENSE}.initializer", "{}",
        "found no kind; allowed: one of glorot_uniform, glorot_normal, ..."),
    _image("normal_0", f"{_DENSE}.initializer={{normal: 0}}",
           f"{_DENSE}.initializer.normal: found 0.0; allowed: above 0"),
    _image("uniform_negative", f"{_CONV}.initializer={{uniform: -0.1}}",
           f"{_CONV}.initializer.uniform: found -0.1; allowed: above 0"),
    _image("truncated_normal_0", f"{_CONV}.initializer={{truncated_normal: 0}}",
           f"{_CONV}.initializer.truncated_normal: found 0.0; allowed: above "
           "0"),
    _image("orthogonal_negative", f"{_DENSE}.initializer={{orthogonal: -2}}",
           f"{_DENSE}.initializer.orthogonal: found -2.0; allowed: above 0"),
    _image("constant_infinite", f"{_DENSE}.initializer={{constant: inf}}",
           f"{_DENSE}.initializer.constant: found inf; allowed: a finite "
           "number"),
    _image("identity_too_large", f"{_CONV}.initializer={{identity: 1e40}}",
           f"{_CONV}.initializer.identity: found 1e+40; allowed: what fits "
           "32-bit floating point"),
    _image("l1_negative", f"{_DENSE}.regularization={{l1: -0.5}}",
           f"{_DENSE}.regularization.l1: found -0.5; allowed: at least 0"),
    _image("l2_nan", f"{_CONV}.regularization={{l2: nan}}",
           f"{_CONV}.regularization.l2: found nan; allowed: a finite number"),
    _wide("initializer_deep_inside",
          "data.feature[1].encoder.layer[1].residual.layer[0].dense."
          "initializer={uniform: 0}",
          "data.feature[1].encoder.layer[1].residual.layer[0].dense."
          "initializer.uniform: found 0.0; allowed: above 0"),
    _image("two_initializers",
           f"{_DENSE}.initializer={{normal: 1 uniform: 1}}",
           f"--set {_DENSE}.initializer: found '{{normal: 1 uniform: 1}}'; "
           "..."),
)

CASES = SHAPES + WINDOWS + SETTINGS + WEIGHTS
