"""Experiments whose export is broken, and what must be said of each."""

from tests import small_experiment

_set = small_experiment.set_case


def _case(name, field, *lines):
  """Makes a case of an override of `serving`."""
  return _set(f"serving_{name}", f"serving.{field}", *lines)


_CLICK_ALONE = "serving={ task: ['click'] output { %s } }"

CASES = (
    _case("negative_top_k", "output.top_k=-1",
          "^serving.output.top_k: found -1; allowed: at least 0"),
    _set("serving_top_k_without_classes", _CLICK_ALONE % "top_k: 2",
         "^serving.output.top_k: found 2 without a task that has several "
         "classes or labels; allowed: with one among the tasks exported"),
    _set("serving_names_without_classes", _CLICK_ALONE % "class_names: true",
         "^serving.output.class_names: found true without a task that has"),
    _case("nothing_of_a_task", "output={ probabilities: false logits: false "
          "classes: false }",
          "^serving.output: found nothing of task 'click'; allowed: one of "
          "probabilities, logits$",
          "^serving.output: found nothing of task 'tier'; allowed: one of "
          "probabilities, logits, classes, class_names, top_k$"),
    _set("serving_sigma_of_no_regression", _CLICK_ALONE % "sigma: true",
         "^serving.output.sigma: found true without a regression that learns "
         "its uncertainty; allowed: with one among the tasks exported, under"),
    small_experiment.Case(
        "sigma_of_what_is_no_noise",
        ("^serving.output.sigma: found true under training.joint.loss."
         "uncertainty.form: IMPARTIAL, whose log variances are not those of "
         "noise; allowed: under LIKELIHOOD",),
        flags=("--set=serving.output.sigma=true",
               "--set=training.joint.loss.uncertainty.form=IMPARTIAL")),
    _case("gates_of_a_trunk", "output.gates=true",
          "^serving.output.gates: found true beside model.hard_sharing; allowed:"
          " with mixture_of_experts, "),
    _case("aliases_without_examples",
          "signature={ examples: false multi_head_aliases: true }",
          "^serving.signature.multi_head_aliases: found true beside "
          "serving.signature.examples: false; allowed: with examples"),
    small_experiment.Case(
        "serving_task_called_like_a_signature",
        ("^serving.signature.after_lookups: found true beside the task "
         "'after_lookups'; allowed: where no task is called like the signature",
         ),
        (('name: "tier" multiclass',
          'name: "after_lookups" label { column: "tier" } multiclass'),
         ('"head/tier"', '"head/after_lookups"')),
        ("--set=serving.signature.after_lookups=true",)),
    _case("unknown_precision", "weights.precision=INT4",
          "serving.weights.precision.*INT4"),
)
