"""Tests of naming who was lost, on what TensorFlow 2.21 said of such.

The texts are those of a session on two servers of which one was ended by
SIGKILL and started again, but for the port.
"""

from absl.testing import absltest
from absl.testing import parameterized
import tensorflow.compat.v1 as tf

from mtl_graph import cluster
from mtl_graph.training import lost_peers

_CLUSTER = cluster.Cluster({"worker": {0: "127.0.0.1:2001", 1: "b:2001"},
                            "ps": {0: "127.0.0.1:2002"}}, "worker", 0)
_HEAD = "Graph execution error:\n\n"
_TRACE = """Detected at node 'step/add/ReadVariableOp' defined at (most recent call last):
    File "/run/step.py", line 30, in <module>
Node: 'step/add/ReadVariableOp'
"""
_NO_ADDRESS = ("failed to connect to all addresses; last error: UNKNOWN: ipv4:"
               "127.0.0.1:2002: Failed to connect to remote host: Connection "
               "refused")
_MORE = ("\nAdditional GRPC error information from remote target /job:ps/replica"
         ":0/task:0 while calling /tensorflow.WorkerService/{}:\n:UNKNOWN:Error "
         'received from peer  {{grpc_message:"{}", grpc_status:{}}}')
_TWO = ("=====================\nUNAVAILABLE: From /job:worker/replica:0/task:0:"
        "\nSocket closed" + _MORE.format("RecvTensor", "Socket closed", 14)
        + "\n\t [[{{node fifo_queue_Dequeue_S5}}]]\nUNAVAILABLE: From /job:ps/"
        "replica:0/task:0:\nSocket closed" + _MORE.format(
            "RunGraph", "Socket closed", 14) + "\n=====================")
_INCARNATION = (
    "RecvTensor expects a different device incarnation: 27746 vs. 76157. Your "
    'worker job ("/job:ps/replica:0/task:0") was probably restarted. Check your '
    "worker job for the reason why it was restarted.")
_NOT_FOUND = (
    "Could not find variable head/kernel. This could mean that the variable has "
    "been deleted. In TF1, it can also mean the variable is uninitialized. Debug"
    " info: container=ps, status error message=Container ps does not exist. "
    "(Could not find resource: ps/head/kernel)")
_PS = "ps 0 at 127.0.0.1:2002: {}; its own log says why it has ended; once it runs "


class LostPeersTest(parameterized.TestCase):

  @parameterized.named_parameters(
      ("during_a_step", _TWO, "Socket closed"),
      ("behind_traces", 2 * _TRACE + _TWO, "Socket closed"),
      ("no_longer_there", "From /job:ps/replica:0/task:0:\n" + _NO_ADDRESS
       + _MORE.format("RunGraph", _NO_ADDRESS, 14),
       "UNKNOWN: ipv4:127.0.0.1:2002: Failed to connect to remote host: "
       "Connection refused"),
      ("while_saving", _NO_ADDRESS + _MORE.format("RegisterGraph", _NO_ADDRESS,
                                                  14),
       "UNKNOWN: ipv4:127.0.0.1:2002: Failed to connect to remote host: "
       "Connection refused"),
      ("only_an_address", _NO_ADDRESS,
       "UNKNOWN: ipv4:127.0.0.1:2002: Failed to connect to remote host: "
       "Connection refused"),
      ("started_again", "From /job:ps/replica:0/task:0:\nSession handle is not "
       'found: 36537875eaba9da6. Possibly this worker ("/job:ps/replica:0/task:0'
       '") just restarted.', "Session handle is not found: 36537875eaba9da6. "
       'Possibly this worker ("/job:ps/replica:0/task:0") just restarted'),
      ("another_incarnation", "From /job:worker/replica:0/task:0:\n"
       + _INCARNATION + _MORE.format("RecvTensor", _INCARNATION, 10)
       + "\n\t [[{{node step/add/ReadVariableOp_S1}}]]",
       _INCARNATION[:-1]),
      ("without_its_variables", 2 * _TRACE + "=====================\nFAILED_"
       "PRECONDITION: From /job:worker/replica:0/task:0:\n" + _NOT_FOUND
       + "\n\t [[{{node step/add/ReadVariableOp}}]]" + _MORE.format(
           "RecvTensor", _NOT_FOUND, 9), _NOT_FOUND[:197].rstrip() + "..."),
  )
  def test_names_who_where_and_what_was_said(self, text, said):
    line = lost_peers.explain(
        tf.errors.UnavailableError(None, None, _HEAD + text), _CLUSTER)
    self.assertEqual(line, _PS.format(said) + "again, all go on")

  def test_an_address_that_no_list_has(self):
    line = lost_peers.explain(tf.errors.UnavailableError(
        None, None, _HEAD + _NO_ADDRESS.replace(":2002", ":2009")), _CLUSTER)
    self.assertStartsWith(line, "127.0.0.1:2009: UNKNOWN: ipv4:127.0.0.1:2009")

  def test_who_reports_is_not_who_is_lost(self):
    line = lost_peers.explain(tf.errors.CancelledError(
        None, None, _HEAD + "From /job:ps/replica:0/task:0:\nStep was cancelled "
        "by an explicit call to `Session::Close()`."), _CLUSTER)
    self.assertEqual(line, "Step was cancelled by an explicit call to `Session::"
                     "Close()`; the logs of the others say who has ended")


if __name__ == "__main__":
  absltest.main()
