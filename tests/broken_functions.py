"""Functions of Python that must not be called, and what must be said of each.
"""

from tests import small_experiment

_ALLOWED = ("--allow_python=tests", "--model_dir=fresh")
_TRUNK = "model.hard_sharing.trunk.layer[0]"
_HEAD = "model.task[0].head_function"
_LOSS = "model.task[1].loss_function"
_OURS = "allowed: functions of tests, as --allow_python has it"
_SHAPE = "allowed: one float32 tensor of shape [B, 4]"
_SAME = ("allowed: variables of tf.get_variable, the same in training and "
         "elsewhere; none in a loss")


def _trunk(name, function, problem, more="", flags=_ALLOWED):
  """The trunk is a function, about whose field something is said."""
  return small_experiment.line_case(
      name, f"{_TRUNK}={{ python {{ units: 4 function: '{function}' {more} }} "
      "}", f"{_TRUNK}.python{problem}", flags=flags)


def _built(name, function, problem):
  """The trunk is a function of legacy_network, called before it is refused."""
  function = f"tests.legacy_network:{function}"
  return _trunk(name, function, f".function: '{function}' {problem}")


def _task(name, path, function, problem, *more):
  function = f"tests.legacy_network:{function}"
  return small_experiment.line_case(
      name, [f"{path}={{ function: '{function}' }}", *more],
      f"{path}{problem}", flags=_ALLOWED)


def _rows(name, function, problem, more="", **options):
  function = f"tests.legacy_network:{function}"
  return small_experiment.line_case(
      name, f"data.train={{ python {{ function: '{function}' {more} }} }}",
      f"data.train.python {problem}", flags=_ALLOWED, **options)


ROWS = (
    small_experiment.line_case(
        "input_fn_that_nothing_allows", "data.train={ python { function: "
        "'tests.legacy_network:input_fn' } }", "data.train.python.function: "
        "found 'tests.legacy_network:input_fn'; allowed: functions of modules "
        "that --allow_python names; it names none"),
    _rows("input_fn_without_an_end", "input_fn", "'tests.legacy_network:"
          "input_fn': returned a dataset without an end; allowed: ...",
          "argument { name: 'form' text: 'endless' }", code=1),
    _rows("input_fn_of_a_number", "number", "'tests.legacy_network:number': "
          "returned int; allowed: arrays by name, a pair of features and "
          "labels, or a tf.data.Dataset of batches of them", code=1),
    small_experiment.line_case(
        "streamed_rows_of_an_input_fn", ["data.train={ python { function: "
        "'tests.legacy_network:number' } }", "data.input.kind=STREAMED"],
        "data.input.kind: found STREAMED beside data.train.python; allowed: "
        "RESIDENT, or files", flags=_ALLOWED),
)

NAMES = (
    _trunk("function_that_nothing_allows", "tests.legacy_network:trunk",
           ".function: found 'tests.legacy_network:trunk'; allowed: functions "
           "of modules that --allow_python names; it names none", flags=()),
    _trunk("function_of_another_package", "os:system",
           f".function: found 'os:system'; {_OURS}"),
    _trunk("function_that_is_borrowed", "tests.legacy_network:mkdir",
           ".function: 'tests.legacy_network:mkdir' is a function of 'posix'; "
           f"{_OURS}"),
    _trunk("expression_in_place_of_a_function", "tests.legacy_network:trunk()",
           ".function: found 'tests.legacy_network:trunk()'; allowed: "
           '"package.module:function"'),
    _trunk("function_of_no_module", "tests.legacy_netwrk:trunk",
           ".function: 'tests.legacy_netwrk' cannot be imported: "
           "ModuleNotFoundError: No module named 'tests.legacy_netwrk'; "
           "allowed: a module that Python finds and can run"),
    _trunk("function_that_is_not_there", "tests.legacy_network:trnk",
           ".function: no 'trnk' in 'tests.legacy_network'; allowed: the name "
           "of a function; nearest: 'trunk'..."),
    _trunk("function_that_is_a_number", "tests.legacy_network:WIDTH",
           ".function: 'tests.legacy_network:WIDTH' is of type int; allowed: a "
           "function"),
    _trunk("function_without_such_a_parameter", "tests.legacy_network:pair",
           ".function: 'tests.legacy_network:pair' takes (inputs): got an "
           "unexpected keyword argument 'depth'; allowed: parameters that take "
           "inputs, depth", "argument { name: 'depth' integer: 3 }"),
    _trunk("argument_twice", "tests.legacy_network:trunk",
           ".argument[1].name: found 'l2' a second time; allowed: each once",
           "argument { name: 'l2' number: 1 } argument { name: 'l2' number: 2 "
           "}"),
    small_experiment.line_case(
        "allowing_no_module", (), "--allow_python: found 'tests/'; allowed: "
        "names of modules or packages, as in my_project,my_models.trunks",
        flags=("--allow_python=numpy,tests/",)),
)

RETURNED = (
    _built("function_that_raises", "fails", "raised ValueError: no layer for 2 "
           "dimensions; allowed: a function that builds its part of the graph"),
    _built("function_of_two_tensors", "pair",
           f"returned a tuple of 2; {_SHAPE}"),
    _built("function_of_integers", "whole", f"returned int32; {_SHAPE}"),
    _built("function_of_another_shape", "summed",
           f"returned a tensor of shape []; {_SHAPE}"),
    _built("function_of_another_width", "flat",
           f"returned a tensor of shape [B, 8]; {_SHAPE}"),
    _task("head_that_is_no_function", "model.task[0].head_function", "nothing",
          ".function: no 'nothing' in 'tests.legacy_network'; allowed: the "
          "name of a function..."),
    _task("head_of_a_product", _HEAD, "head", ": found it beside product; "
          "allowed: on tasks with layers of their own",
          "model.task[0].product={ task: ['x', 'y'] }", "model.task[0].tower={}"
          )._replace(whole=False),
    _task("loss_without_logits", _LOSS, "flat", ".function: "
          "'tests.legacy_network:flat' takes (inputs): too many positional "
          "arguments; allowed: parameters that take labels, logits"),
    small_experiment.line_case(
        "loss_of_all_rows", f"{_LOSS}={{ function: "
        "'tests.legacy_network:mean_loss' }", "model.task[name=spent]."
        "loss_function.function: 'tests.legacy_network:mean_loss' returned a "
        "tensor of shape []; allowed: one float32 tensor of shape [B]",
        flags=_ALLOWED),
    small_experiment.line_case(
        "loss_with_variables", f"{_LOSS}={{ function: "
        "'tests.legacy_network:learned_loss' }", "model.task[name=spent]."
        "loss_function.function: 'tests.legacy_network:learned_loss' makes "
        f"'scale' once more, or in training alone; {_SAME}", flags=_ALLOWED),
    small_experiment.line_case(
        "function_that_makes_its_variables_again",
        [f"{_TRUNK}={{ python {{ units: 8 function: "
         "'tests.legacy_network:new_variable' } }"], f"{_TRUNK}.python."
        "function: 'tests.legacy_network:new_variable' makes 'evaluation/trunk/"
        f"python/Variable' outside of 'trunk/python'; {_SAME}", flags=_ALLOWED),
)

CASES = NAMES + RETURNED + ROWS
