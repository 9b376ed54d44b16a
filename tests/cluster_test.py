"""Tests of who is who in a cluster."""

import json

from absl.testing import absltest
from absl.testing import parameterized

from mtl_graph import cluster
from mtl_graph import config


def environment(jobs, job="worker", index=0):
  return json.dumps({"cluster": jobs, "task": {"type": job, "index": index}})


class ClusterTest(parameterized.TestCase):

  def test_every_process_knows_its_place(self):
    jobs = {"chief": ["a:1"], "worker": ["b:1", "c:2"], "ps": ["d:3", "e:3"],
            "evaluator": ["f:1"]}
    found = cluster.from_environment(environment(jobs, "worker", 1))
    self.assertEqual(list(found.workers.items()), [
        ("/job:chief/task:0", "a:1"), ("/job:worker/task:0", "b:1"),
        ("/job:worker/task:1", "c:2")])
    self.assertEqual(found.ps, ["/job:ps/task:0", "/job:ps/task:1"])
    self.assertEqual((found.device, found.address, found.rank),
                     ("/job:worker/task:1", "c:2", 2))
    self.assertFalse(found.is_chief)
    self.assertNotIn("evaluator", found.jobs)
    chief = cluster.from_environment(environment(jobs, "chief"))
    self.assertTrue(chief.is_chief)
    self.assertEqual(chief.rank, 0)

  def test_worker_0_is_the_chief_where_none_is_named(self):
    jobs = {"worker": ["a:1", "b:1"], "ps": ["c:1"]}
    found = [cluster.from_environment(environment(jobs, "worker", index))
             for index in (0, 1)]
    self.assertEqual([(one.is_chief, one.rank) for one in found],
                     [(True, 0), (False, 1)])
    self.assertEqual(found[1].chief, "/job:worker/task:0")

  def test_a_master_is_a_chief(self):
    found = cluster.from_environment(environment(
        {"master": ["a:1"], "ps": ["c:1"]}, "master"))
    self.assertTrue(found.is_chief)
    self.assertEqual(found.device, "/job:chief/task:0")

  def test_a_worker_may_know_its_own_address_only(self):
    found = cluster.from_environment(environment(
        {"chief": ["a:1"], "worker": {"3": "b:1"}, "ps": ["c:1"]}, "worker",
        "3"))
    self.assertEqual((found.device, found.address, found.rank),
                     ("/job:worker/task:3", "b:1", 4))

  @parameterized.parameters(
      (None,), ("",), ("{}",), ('{"cluster": {}, "task": {}}',),
      (environment({"worker": ["a:1"]}),), (environment({"chief": ["a:1"]},
                                                        "chief"),))
  def test_a_process_alone_is_no_cluster(self, text):
    self.assertIsNone(cluster.from_environment(text))

  def test_an_evaluator_need_not_be_in_the_cluster(self):
    found = cluster.from_environment(environment(
        {"chief": ["a:1"], "ps": ["c:1"]}, "evaluator"))
    self.assertEqual((found.job, found.address, found.is_chief),
                     ("evaluator", "", False))

  def test_flags_say_the_same(self):
    hosts = {"worker": ["a:1", "b:1"], "ps": ["[::1]:1"], "chief": []}
    found = cluster.from_flags("worker", 1, hosts)
    self.assertEqual(found, cluster.from_environment(environment(
        {"worker": ["a:1", "b:1"], "ps": ["[::1]:1"]}, "worker", 1)))
    self.assertIsNone(cluster.from_flags(None, 0, {"ps": []}))
    self.assertIs(cluster.choose(found, None), found)
    with self.assertRaisesRegex(config.ConfigError, "^--job_name: found it "
                                "beside TF_CONFIG; allowed: one of them$"):
      cluster.choose(found, found)

  @parameterized.named_parameters(
      ("no_json", "{'cluster'", r"TF_CONFIG: found \"\{'cluster'\", which is no "
       "JSON .*; allowed: an object with 'cluster' and 'task'"),
      ("a_list", "[]", r"TF_CONFIG: found \[\]; allowed: an object with .*"),
      ("jobs", '{"cluster": 3}', "TF_CONFIG.cluster: found 3; allowed: an "
       "object of addresses by job"),
      ("no_task", '{"cluster": {"ps": ["a:1"]}}',
       "TF_CONFIG.task: found nothing; required beside 'cluster': 'type' and "
       "'index'"),
      ("task", '{"cluster": {"ps": ["a:1"]}, "task": "ps"}',
       "TF_CONFIG.task: found 'ps'; allowed: an object with 'type' and 'index'"),
      ("no_type", '{"cluster": {"worker": ["a:1"]}, "task": {}}',
       "TF_CONFIG.task.type: found nothing; allowed: chief, .*"),
      ("type", environment({"worker": ["a:1"]}, "wroker"),
       "TF_CONFIG.task.type: found 'wroker'; allowed: chief, worker, ps, "
       "evaluator"),
      ("index", environment({"worker": ["a:1", "b:1"]}, index=2),
       "TF_CONFIG.task.index: found 2, and job 'worker' has no such address; "
       "allowed: 0, 1"),
      ("negative", environment({"worker": ["a:1"]}, index=-1),
       "TF_CONFIG.task.index: found -1; allowed: a whole number from 0 on"),
      ("truth", environment({"worker": ["a:1"]}, index=True),
       "TF_CONFIG.task.index: found True; allowed: a whole number from 0 on"),
      ("job", environment({"worker": ["a:1"], "pss": ["b:1"]}),
       "TF_CONFIG.cluster.pss: found 'pss'; allowed: chief, worker, ps, "
       "evaluator.*"),
      ("addresses", environment({"worker": "a:1"}),
       "TF_CONFIG.cluster.worker: found 'a:1'; allowed: a list of 'host:port', "
       "or an object from index to it"),
      ("address", environment({"worker": ["a:1", "b"]}),
       r"TF_CONFIG.cluster.worker\[1\]: found 'b'; allowed: 'host:port' with a "
       "port from 1 to 65535"),
      ("port", environment({"worker": ["a:70000"]}),
       r"TF_CONFIG.cluster.worker\[0\]: found 'a:70000'; allowed: .*"),
      ("number", environment({"worker": [5]}),
       r"TF_CONFIG.cluster.worker\[0\]: found 5; allowed: .*"),
      ("key", environment({"worker": {"x": "a:1"}}),
       "TF_CONFIG.cluster.worker: found 'x' for an index; allowed: whole "
       "numbers from 0 on"),
      ("twice", environment({"worker": ["a:1"], "ps": ["a:1"]}),
       r"TF_CONFIG.cluster.ps\[0\]: found 'a:1', which is that of "
       r"TF_CONFIG.cluster.worker\[0\]; allowed: each address once"),
      ("chiefs", environment({"chief": ["a:1", "b:1"]}),
       "TF_CONFIG.cluster.chief: found 2; allowed: one"),
      ("two_names", environment({"chief": ["a:1"], "master": ["b:1"]}),
       "TF_CONFIG.cluster.master: found it beside 'chief'; allowed: one of "
       "them"),
      ("no_chief", environment({"worker": {"1": "a:1"}, "ps": ["b:1"]}, "ps"),
       "TF_CONFIG.cluster.worker: found neither a chief nor a worker 0; allowed"
       ": one of them at least"),
  )
  def test_what_is_wrong_is_one_line(self, text, message):
    with self.assertRaises(config.ConfigError) as caught:
      cluster.from_environment(text)
    self.assertRegex(str(caught.exception), f"^(?:{message})$")

  def test_flags_are_called_by_their_names(self):
    for index, hosts, message in (
        (0, {"ps": ["a"]}, "--ps_hosts[0]: found 'a'; allowed: 'host:port' with "
         "a port from 1 to 65535"),
        (3, {"ps": ["a:1"], "worker": ["b:1"]}, "--task_index: found 3, and job "
         "'ps' has no such address; allowed: 0")):
      with self.assertRaises(config.ConfigError) as caught:
        cluster.from_flags("ps", index, hosts)
      self.assertEqual(str(caught.exception), message)
    with self.assertRaisesRegex(config.ConfigError,
                                "^--job_name: found nothing; allowed: chief"):
      cluster.from_flags(None, 0, {"ps": ["a:1"], "worker": ["b:1"]})


if __name__ == "__main__":
  absltest.main()
