"""A cluster whose processes only count: for tests of what starts and kills them.

`write` makes a folder in which `python -m mtl_graph.train` is a program of a few
lines, of the same flags and files: a chief that, once all others are there, counts
to the last step, going on from where it was saved, and others that wait for it.
"""

import os

_TRAIN = '''
import json, os, signal, sys, time
argument = dict(a[2:].split("=", 1) for a in sys.argv[1:] if "model_dir" in a)
folder, config = argument["model_dir"], json.loads(os.environ["TF_CONFIG"])
task = config["task"]
with open("behaviour.json") as file:
  behaviour = json.load(file)
name = f"{task['type']}-{task['index']}"
print("starts", flush=True)
if name in behaviour["fail"]:
  print("has failed", flush=True)
  sys.exit(behaviour["fail"][name])
saved = os.path.join(folder, "saved")
step = int(open(saved).read()) if os.path.exists(saved) else 0
if name in behaviour["asked"]:
  code = behaviour["asked"][name]
  signal.signal(signal.SIGTERM, signal.SIG_IGN if code is None else
                lambda *unused: sys.exit(code))
print(behaviour["say"].get(name, ""), flush=True)
if step and name == "worker-0":
  step -= behaviour["lost"]
  print(f"going on from step {step}", flush=True)
if name != "worker-0":
  open(os.path.join(folder, f"{name} is there"), "w").close()
  while not os.path.exists(os.path.join(folder, "finished.json")):
    time.sleep(0.01)
  if name in behaviour["stay"]:
    os.execlp("sleep", "sleep", "1000")
  sys.exit()
others = [f"{job}-{i}" for job, addresses in config["cluster"].items()
          for i in range(len(addresses)) if (job, i) != ("worker", 0)]
while not all(os.path.exists(os.path.join(folder, f"{other} is there"))
              for other in others):
  time.sleep(0.01)
while step < behaviour["steps"]:
  time.sleep(behaviour["pace"])
  step += 1
  with open(saved + ".tmp", "w") as file:
    file.write(str(step))
  os.replace(saved + ".tmp", saved)
  print(f"step {step}/{behaviour['steps']} | loss", flush=True)
open(os.path.join(folder, f"model.ckpt-{step}.index"), "w").close()
with open(os.path.join(folder, "finished.json.tmp"), "w") as file:
  json.dump({"result": {"step": step, "metrics": {"validation": {
      "late": {"auc": behaviour["auc"]}}}}}, file)
os.replace(file.name, os.path.join(folder, "finished.json"))
'''


def write(folder: str) -> None:
  """Writes the program into a folder, to be started from there."""
  package = os.path.join(folder, "mtl_graph")
  os.makedirs(package)
  for name, text in (("__init__", ""), ("train", _TRAIN)):
    with open(os.path.join(package, f"{name}.py"), "w",
              encoding="utf-8") as file:
      file.write(text)
