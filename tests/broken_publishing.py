"""Experiments that cannot be published as they say, and what is said of each.
"""

from tests import small_experiment

_flags = small_experiment.flag_case

_PUBLISHING = "serving.publishing"
_GATE = "gate { metric: 'click/auc' goal: MAXIMIZE }"


def _set(name, field, value, *expect):
  return small_experiment.set_case(name, f"serving.{field}={value}", *expect)


CASES = (
    _set("warmup_negative", "warmup_requests", "-1",
         "^serving.warmup_requests: found -1; allowed: 0 to 1000"),
    _set("warmup_more_than_a_server_takes", "warmup_requests", "1001",
         "^serving.warmup_requests: found 1001; allowed: 0 to 1000"),
    _set("version_unknown", "publishing.version", "DATE",
         "no value 'DATE'.*; allowed: TIME, STEP"),
    _set("keep_negative", "publishing.keep", "-2",
         f"^{_PUBLISHING}.keep: found -2; allowed: at least 0"),
    _set("publish_every_0_steps", "publishing", "{ every_steps: 0 }",
         f"^{_PUBLISHING}.every_steps: found 0; allowed: at least 1"),
    _flags("publish_every_evaluation_of_none", [
        "--set=evaluation={}", "--set=evaluation.every_steps=0",
        f"--set={_PUBLISHING}={{ every_evaluation {{}} }}"],
           f"^{_PUBLISHING}.every_evaluation: found it without data.validation "
           "or with evaluation.every_steps: 0; allowed: where there are eval"),
    _flags("publish_every_best_without_best", [
        "--set=evaluation={}", f"--set={_PUBLISHING}={{ every_best {{}} }}"],
           f"^{_PUBLISHING}.every_best: found it without evaluation.best; "
           "allowed: with it"),
    _set("steps_that_may_go_back", "publishing",
         "{ version: STEP every_steps: 2 }",
         f"^{_PUBLISHING}.version: found STEP with every_steps and evaluation."
         "best, .*; allowed: TIME, or every_best"),
    _set("gate_of_no_metric", "publishing",
         "{ gate { metric: 'click/acu' goal: MAXIMIZE } }",
         f"^{_PUBLISHING}.gate.metric: no metric 'click/acu'; allowed: click/"
         "loss, .*nearest: 'click/auc'"),
    _set("gate_without_a_goal", "publishing", "{ gate { metric: 'click/auc' } }",
         f"^{_PUBLISHING}.gate.goal: found nothing; allowed: MAXIMIZE or MINI"),
    _set("gate_margin_negative", "publishing",
         "{ gate { metric: 'click/auc' goal: MAXIMIZE margin: -0.1 } }",
         f"^{_PUBLISHING}.gate.margin: found -0.1; allowed: at least 0"),
    small_experiment.Case(
        "gate_without_validation_rows",
        (f"^{_PUBLISHING}.gate: found it without data.validation; allowed: with"
         " validation rows only",),
        edits=(('  validation { csv { path: "validation.csv" } weight_column: '
                '"weight" }\n', ""),),
        flags=("--set=evaluation={}", f"--set={_PUBLISHING}={{ {_GATE} }}")),
    _set("batch_of_0", "batching", "{ max_batch_size: 0 }",
         "^serving.batching.max_batch_size: found 0; allowed: at least 1"),
    _set("batch_timeout_negative", "batching", "{ batch_timeout_micros: -1 }",
         "^serving.batching.batch_timeout_micros: found -1; allowed: at least "
         "0"),
    _set("no_batch_waits", "batching", "{ max_enqueued_batches: 0 }",
         "^serving.batching.max_enqueued_batches: found 0; allowed: at least "
         "1"),
    _set("no_batch_runs", "batching", "{ num_batch_threads: 0 }",
         "^serving.batching.num_batch_threads: found 0; allowed: at least 1"),
    _set("batch_sizes_falling", "batching",
         "{ max_batch_size: 8 allowed_batch_sizes: [8, 4] }",
         "^serving.batching.allowed_batch_sizes: found 8, 4; allowed: rising"),
    _set("batch_sizes_without_the_largest", "batching",
         "{ allowed_batch_sizes: [1, 4] }",
         "^serving.batching.max_batch_size: found nothing; allowed: the last "
         "of allowed_batch_sizes"),
    _set("batch_sizes_end_elsewhere", "batching",
         "{ max_batch_size: 8 allowed_batch_sizes: [1, 4] }",
         "^serving.batching.allowed_batch_sizes: found 4 as the last; allowed: "
         "max_batch_size, which is 8"),
)
