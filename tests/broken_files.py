"""Broken data files, runs and exports, and what must be said of each."""

import fcntl
import glob
import os
import shutil

import numpy as np

from tests import small_experiment

Case = small_experiment.Case
_set = small_experiment.set_case
_flags = small_experiment.flag_case
_cell = small_experiment.cell
_content = small_experiment.content
_bytes = small_experiment.bytes_of

_GZ = ("--set=data.train.csv.path[0]=train.csv.gz", "--allow_changes")
_NPZ = ("--set=data.train={npz {path: 'train.npz'} weight_column: 'weight'}",
        "--allow_changes")
_CHANGED = ("--allow_changes",)
_VALIDATION = "validation.csv"


def _row(name, row, column, value, allowed, flags=(), **more):
  """A bad value in one row of train.csv."""
  return Case(name, (rf"^train.csv, row {row}, column '{column}': found "
                     rf"'{value}'; allowed: {allowed}",), code=1, flags=flags,
              prepare=(_cell(row, column, value),), **more)


def _csv(name, change, *expect, flags=(), **more):
  """A train.csv with other bytes."""
  return Case(name, expect, code=1, prepare=(_bytes(change),), flags=flags,
              **more)


def _gz(name, change, *expect):
  """A train.csv.gz with other bytes."""
  return Case(name, expect, code=1, flags=_GZ,
              prepare=(small_experiment.zipped(change),))


def _npz(name, change, *expect, then=lambda data: data):
  """A train.npz with other arrays, or with other bytes."""
  return Case(name, expect, code=1, flags=_NPZ, prepare=(
      small_experiment.npz(change), _bytes(then, "train.npz")))


def _launch(launcher, name, *expect, prepare=(), flags=(), code=1, **more):
  """A launcher on a broken run or export."""
  return Case(f"{launcher}_{name}", expect, launcher=launcher, code=code,
              flags=flags, prepare=prepare, **more)


_LOCKS = []  # Kept open: the process that runs the tests holds the locks.


def _lock():
  file = open(os.path.join("run", "lock"), "a+", encoding="utf-8")
  fcntl.flock(file, fcntl.LOCK_EX)
  _LOCKS.append(file)


def release_locks() -> None:
  """Lets go of the runs that a case has locked."""
  while _LOCKS:
    _LOCKS.pop().close()


def _without_indexes():
  for folder in ("run", "run/best"):
    for name in os.listdir(folder):
      if name.endswith(".index"):
        os.remove(os.path.join(folder, name))


def _with_cut_off_best():
  path, = glob.glob("run/best/model.ckpt-*.data-*")
  _bytes(_cut, path)()


def _without_run():
  shutil.rmtree("run")


def _two_files():
  names, rows = small_experiment.rows_of("train.csv")
  small_experiment.write_csv("train-1.csv", names, rows[:40])
  small_experiment.write_csv("train-2.csv", names, rows[40:])
  _cell(5, "age", "old", "train-2.csv")()


def _in_export(change):
  """Changes an export, given its folder."""
  def prepare():
    version, = os.listdir("run/export")
    change(os.path.join("run/export", version))
  return prepare


def _cut(data):
  return data[:len(data) // 2]


def _flip(data):
  return data[:-60] + bytes(255 - b for b in data[-60:-40]) + data[-40:]


def _lines(change):
  """Changes the lines of a file."""
  return lambda data: b"\n".join(change(data.split(b"\n")))


_NEWEST = "run/model.ckpt-2.data-00000-of-00001"

TEXT_FILES = (
    _gz("gzip_cut_off", _cut, "^train.csv.gz: cannot be read: .*end-of-stream.*"
        "; allowed: comma-separated UTF-8 text, gzip only if it ends in .gz"),
    _gz("gzip_damaged", _flip, "^train.csv.gz: cannot be read: .*; allowed: "),
    _gz("text_named_gz", lambda data: b"age,income\n1,2\n",
        "^train.csv.gz: cannot be read: Not a gzipped file.*; allowed: "),
    Case("gzip_named_csv", ("^train.csv, line 1: cannot be read: it is not UTF"
                            "-8; allowed: .*gzip only if it ends",), code=1,
         prepare=(small_experiment.zipped(lambda data: data, "train.csv"),)),
    _csv("csv_not_utf8", _lines(lambda lines: lines[:7] + [
        lines[7].replace(b",", b"\xe9,", 1)] + lines[8:]),
         "^train.csv, line 8: cannot be read: it is not UTF-8; allowed: comma"),
    _csv("csv_utf16", lambda data: data.decode().encode("utf-16"),
         "^train.csv, line 1: cannot be read: it is not UTF-8; allowed: "),
    _csv("field_too_many", _lines(lambda lines: lines[:9] + [
        lines[9] + b",7"] + lines[10:]),
         "^train.csv, row 9: found 10 fields; allowed: 9, one per column",
         process=True),
    _csv("field_too_few", _lines(lambda lines: lines[:60] + [
        lines[60].rpartition(b",")[0]] + lines[61:]),
         "^train.csv, row 60: found 8 fields; allowed: 9, one per column"),
    _csv("csv_cut_off", _cut, r"^train.csv, row \d+: found \d fields; allowed"),
    _csv("quote_not_closed", _lines(lambda lines: lines[:9] + [
        lines[9].replace(b"phone", b'"phone').replace(b"tablet", b'"tablet')
        .replace(b"laptop", b'"laptop')] + lines[10:]),
         "^train.csv, line 10: cannot be read: unexpected end of data; "
         "allowed: fields quoted as RFC 4180 has it"),
    _csv("csv_empty", lambda data: b"", "^train.csv: found an empty file; allow"
         "ed: comma-separated UTF-8 text"),
    _csv("csv_blank", lambda data: b"\n\n\n",
         "^train.csv: found an empty file; allowed: "),
    _csv("header_only", lambda data: data.split(b"\n")[0] + b"\n",
         r"^train.csv: found no rows; allowed: at least one \(data.train\)"),
    Case("column_is_missing", (
        r"^train.csv: no column 'income' \(data.train\); allowed: age, incom, "
        ".*; nearest: 'incom'",), code=1, process=True,
         prepare=(small_experiment.header("income", "incom"),)),
    Case("column_twice", ("^train.csv: column 'age' is named more than once; "
                          "allowed: each name once",), code=1,
         prepare=(small_experiment.header("device", "age"),)),
    _set("weight_column_is_missing", "data.train.weight_column=weights",
         "^train.csv: no column 'weights' .*; nearest: 'weight'", code=1,
         flags=_CHANGED),
    Case("second_file_of_a_glob",
         ("^train-2.csv, row 5, column 'age': found 'old'; allowed: a number",),
         flags=("--set=data.train.csv.path[0]=train-*.csv", "--allow_changes"),
         code=1, prepare=(_two_files,)),
    Case("folder_named_csv", ("^train.csv: cannot be read: Is a directory; "
                              "allowed: ",), code=1,
         prepare=(lambda: os.remove("train.csv"),
                  lambda: os.mkdir("train.csv"))),
    Case("header_file_too_short", (
        "^train.csv, row 1: found 9 fields; allowed: 2, one per column",),
         flags=("--set=data.train.csv.header_file=names", "--allow_changes"),
         code=1, prepare=(_content("names", b"age,income\n"),)),
)

VALUES = (
    _row("number_is_text", 17, "age", "old",
         "a number, or nothing where it is missing", process=True),
    _row("number_infinite", 3, "income", "inf", "a finite number"),
    _row("number_overflows_64_bits", 3, "income", "1e999", "a finite number"),
    _row("number_overflows_32_bits", 3, "income", "1e300", "a number that fits "
         "32-bit floating point"),
    _row("number_is_missing", 8, "age", "",
         "a number; feature 'age' has no missing_value"),
    _row("negative_under_log1p", 60, "income", "-3",
         r"at least 0, as feature 'income' takes ln\(1 \+ x\)"),
    _row("bucket_is_fraction", 5, "hour", "3.5", "a whole number of at least"),
    _row("bucket_is_negative", 5, "hour", "-1", "a whole number of at least 0"),
    _row("bucket_is_text", 5, "hour", "noon", "a number, or nothing"),
    _row("label_2_of_binary", 4, "clicked", "2", "0 or 1, or nothing where "),
    _row("label_is_text", 4, "spent", "much", "a number, or nothing"),
    _row("label_negative_under_log1p", 11, "spent", "-0.5",
         "a number of at least 0, as label.log1p is set"),
    _row("label_overflows_32_bits", 11, "spent", "1e300", "a number that fits "
         "32-bit floating point"),
    _row("class_unknown", 30, "tier", "sliver",
         "an entry of the vocabulary; nearest: 'silver'"),
    _row("class_out_of_range", 30, "hour", "24", "0 to 23, or nothing where", (
        "--set=model.task[2]={name: 'tier' label {column: 'hour'} "
        "multiclass {num_classes: 24}}", "--allow_changes")),
    _row("weight_negative", 2, "weight", "-1", "a number of at least 0"),
    _row("weight_nan", 2, "weight", "nan", "a number of at least 0"),
    _row("weight_is_text", 2, "weight", "heavy", "a number, or nothing"),
    _row("weight_is_missing", 2, "weight", "", "a number of at least 0"),
    _row("weight_overflows_32_bits", 2, "weight", "1e300", "a number that fits "
         "32-bit floating point"),
    Case("nul_in_number", (r"^train.csv, row 6, column 'age': found '4\\x002'; "
                           "allowed: a number",), code=1,
         prepare=(_cell(6, "age", "4\x002"),)),
    Case("nul_in_category", (r"^train.csv, row 6, column 'city': found 'be\\x00"
                             "rn'; allowed: text without NUL",), code=1,
         prepare=(_cell(6, "city", "be\x00rn"),)),
    Case("line_end_in_number", (r"^train.csv, row 6, column 'age': found '4\\n"
                                "2'; allowed: a number",), code=1,
         prepare=(_cell(6, "age", "4\n2"),)),
    Case("no_label_at_all", (
        "^train.csv: no row has a label of a weight above 0 for task 'spent' "
        "in column 'spent'; allowed: at least one",), code=1,
         prepare=(small_experiment.column("spent", ""),)),
    Case("all_weights_0", ("^train.csv: no row has a label of a weight above 0 "
                           "for task 'click' in column 'clicked'; allowed",),
         code=1, prepare=(small_experiment.column("weight", "0"),)),
    _set("positive_value_never_occurs",
         "model.task[0].label={column: 'device' positive_value: 'fone'}",
         "^train.csv: no row of column 'device' is 'fone' .label of task 'click"
         "'.; there are: laptop, phone, tablet; nearest: 'phone'", code=1,
         flags=_CHANGED),
    Case("validation_row_bad", (
        "^validation.csv, row 20, column 'clicked': found 'yes'; allowed: ",),
         code=1, prepare=(_cell(20, "clicked", "yes", _VALIDATION),)),
)

ARCHIVES = (
    _npz("npz_cut_off", dict, "^train.npz: cannot be read: it is no zip "
         "archive, or is cut off; allowed: an archive of arrays", then=_cut),
    _npz("npz_damaged", dict, "^train.npz: cannot be read: Bad CRC-32.*age.*; "
         "allowed: ", then=lambda data: data[:300] + b"?" + data[301:]),
    _npz("npz_is_text", dict, "^train.npz: cannot be read: it is no zip archiv"
         "e, .*; allowed: an archive", then=lambda data: b"age,income\n1,2\n"),
    _npz("npz_is_empty", dict, "^train.npz: cannot be read: .*; allowed: ",
         then=lambda data: b""),
    _npz("npz_with_pickled_objects", lambda arrays: {
        **arrays, "city": np.array([{}] * 60)},
         "^train.npz: cannot be read: Object arrays cannot be loaded .*; "
         "allowed: an archive of arrays without Python objects"),
    _npz("npz_of_unequal_lengths", lambda arrays: {
        **arrays, "hour": arrays["hour"][:59]},
         "^train.npz: found columns of 'age': 60 rows, .*'hour': 59 rows.*; "
         "allowed: one entry per row"),
    _npz("npz_with_a_scalar", lambda arrays: {**arrays, "hour": np.int64(3)},
         "^train.npz: found columns of .*'hour': no rows.*; allowed: one entr"),
    _npz("npz_too_wide", lambda arrays: {
        **arrays, "age": np.stack([arrays["age"]] * 2, 1)},
         r"^train.npz: column 'age' has shape \[60, 2\]; allowed: \[60\], as "
         "feature 'age' has size 1"),
    _npz("npz_of_wide_categories", lambda arrays: {
        **arrays, "city": np.stack([arrays["city"]] * 2, 1)},
         r"^train.npz: column 'city' has shape \[60, 2\]; allowed: one value"),
    _npz("npz_bucket_is_fraction", lambda arrays: {
        **arrays, "hour": arrays["hour"] + 0.5},
         r"^train.npz, row 1, column 'hour': found '\d+.5'; allowed: a whole"),
    _npz("npz_number_infinite", lambda arrays: {
        **arrays, "age": np.where(np.arange(60) == 8, np.inf, arrays["age"])},
         "^train.npz, row 9, column 'age': found 'inf'; allowed: a finite"),
    _npz("npz_column_is_missing", lambda arrays: {
        name: array for name, array in arrays.items() if name != "tier"},
         r"^train.npz: no column 'tier' \(data.train\); allowed: age, "),
    Case("npy_named_npz", ("^train.npz: cannot be read: it is no zip archive",),
         code=1, flags=_NPZ, prepare=(
             lambda: np.save("train.npy", np.arange(9)),
             lambda: os.rename("train.npy", "train.npz"))),
)

RUNS = (
    _flags("changed_experiment", [
        "--set=data.batch_size=8",
        "--set=model.hard_sharing.trunk.layer[0].dense.units=5"],
           "^data.batch_size: 16 -> 8 since .* in run; allowed: the same experi"
           "ment, another --model_dir, or --allow_changes",
           r"^model.hard_sharing.trunk.layer\[0\].dense.units: 4 -> 5 since"),
    _set("changed_groups", "training.group=[]",
         "^training.group: 3 -> 0 elements since .* in run; allowed: "),
    Case("changed_rows", (
        "^data.train: the rows .* in run; allowed: the same rows, another "
        "--model_dir, or --allow_changes",),
         prepare=(_cell(5, "age", "55.5"),)),
    _launch("train", "into_a_file", "^small.pbtxt: cannot be written to: .*; "
            "allowed: a folder of your own",
            flags=("--model_dir=small.pbtxt",)),
    _launch("train", "below_a_file",
            "^train.csv/run: cannot be written to: Not a directory; allowed: ",
            flags=("--model_dir=train.csv/run",)),
    _launch("train", "where_another_trains",
            "^run: process [0-9]+ is training here; allowed: one run per",
            prepare=(_lock,), process=True),
    _launch("train", "from_cut_off_checkpoint",
            "^run/model.ckpt-2: the checkpoint cannot be restored: ",
            prepare=(_bytes(_cut, _NEWEST),)),
    _launch("train", "from_damaged_checkpoint",
            "^run/model.ckpt-2: the checkpoint cannot be restored: ",
            prepare=(_bytes(_flip, _NEWEST),)),
    _launch("train", "to_infinity",
            "^step 3: the loss of task 'spent' is inf; .*run/model.ckpt-2",
            flags=("--allow_changes", "--set=model.task[1].label.log1p=false"),
            prepare=(small_experiment.column("spent", "3e38"),)),
    _launch("evaluate", "without_run", "^run: found no checkpoint; allowed: ",
            prepare=(_without_run,)),
    _launch("evaluate", "without_indexes", "^run: found no checkpoint; allowed",
            prepare=(_without_indexes,)),
    _launch("evaluate", "unknown_checkpoint",
            "^run: found no checkpoint 'run/model.ckpt-7'; allowed: best, late",
            flags=("--checkpoint=run/model.ckpt-7",)),
    _launch("evaluate", "cut_off_checkpoint",
            "^run/best/model.ckpt-[12]: the checkpoint cannot be restored: ",
            prepare=(_with_cut_off_best,)),
    _launch("evaluate", "changed_network",
            "^model.task: 3 -> 2 elements since training in run; allowed: ",
            code=2, flags=(
                "--set=training.group=[{name: 'all' scope: ['embedding', "
                "'trunk', 'tower', 'head']}]",
                "--set=model.task=[{name: 'click' label {column: 'clicked'} "
                "binary {}}, {name: 'tier' multiclass {num_classes: 3} "
                "tower {layer {dense {units: 3}}}}]")),
    _launch("evaluate", "bad_row",
            "^validation.csv, row 2, column 'age': found 'x'; allowed: ",
            prepare=(_cell(2, "age", "x", _VALIDATION),)),
    _launch("evaluate", "nothing", "^data: found neither validation nor test; "
            "allowed: at least one", code=2, flags=(
                "--set=evaluation={}", "--set=data={train {csv {path: 'train.cs"
                "v'}} feature {name: 'age' numeric {}}}",
                "--set=training.group=[]")),
    _launch("export", "without_run", "^run: found no checkpoint; allowed: ",
            prepare=(_without_run,)),
    _launch("export", "into_a_file", "^train.csv: cannot be written: .*; "
            "allowed: a folder", flags=("--export_dir=train.csv",)),
    _launch("export", "cut_off_checkpoint",
            "^run/model.ckpt-2: the checkpoint cannot be restored: ",
            flags=("--checkpoint=latest",), prepare=(_bytes(_cut, _NEWEST),)),
    _launch("export", "bad_row", "^validation.csv, row 2, column 'hour': found "
            "'x'; allowed: ", prepare=(_cell(2, "hour", "x", _VALIDATION),)),
    _launch("export", "unknown_flag", "exportdir.*export_dir", code=2,
            flags=("--exportdir=x",)),
)

EXPORTS = (
    _launch("predict", "without_flags",
            "^--export_dir: found nothing; required",
            "^--input: found nothing; required", bare=True, code=2),
    _launch("predict", "without_export",
            "^nowhere: found no export; allowed: a folder with saved_model.pb, "
            "or one of numbered versions", flags=("--export_dir=nowhere",)),
    _launch("predict", "into_unknown_format",
            "^--output: found 'p.xlsx'; allowed: -, or a path ending in .csv "
            "or", code=2, flags=("--output=p.xlsx",)),
    _launch("predict", "into_missing_folder",
            "^there/p.csv: cannot be written: No such file",
            flags=("--output=there/p.csv",)),
    _launch("predict", "missing_input", "^--input: no file matches 'x-.*.csv'; "
            "allowed: ", flags=("--input=x-*.csv",)),
    _launch("predict", "missing_column", "^validation.csv: no column 'device' "
            ".--input.; allowed: age, .*; nearest: 'devise'", prepare=(
                small_experiment.header("device", "devise", _VALIDATION),)),
    _launch("predict", "missing_key", "^validation.csv: no column 'id' .--input"
            ".; allowed: age", flags=("--keys=id",)),
    _launch("predict", "bad_row",
            "^validation.csv, row 13, column 'age': found 'x'; allowed: a ",
            prepare=(_cell(13, "age", "x", _VALIDATION),)),
    _launch("predict", "no_rows", "^validation.csv: found no rows; allowed: ",
            prepare=(_bytes(lambda data: data.split(b"\n")[0], _VALIDATION),)),
    _launch("predict", "cut_off_export", "^run/export/[0-9]+: cannot be loaded",
            prepare=(_in_export(lambda path: _bytes(
                _cut, os.path.join(path, "saved_model.pb"))()),)),
    _launch("predict", "export_without_variables",
            "^run/export/[0-9]+: cannot be loaded: ", prepare=(_in_export(
                lambda path: shutil.rmtree(os.path.join(path, "variables"))),)),
    _launch("predict", "export_without_experiment",
            "^run/export/[0-9]+: cannot be loaded: .*experiment.pbtxt",
            prepare=(_in_export(lambda path: shutil.rmtree(
                os.path.join(path, "assets.extra"))),)),
)

DATA_FILES = TEXT_FILES + VALUES + ARCHIVES
CASES = DATA_FILES + RUNS + EXPORTS
