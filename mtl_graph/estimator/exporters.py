"""When `train_and_evaluate` exports."""

import os
import shutil
from typing import Any, Callable, Dict, Optional

from mtl_graph.serving import versions


class LatestExporter:
  """Exports after every evaluation, and keeps the newest exports.

  Attributes:
    name: Folder of the exports, below `<model_dir>/export`.
  """

  def __init__(self, name: str, serving_input_receiver_fn: Callable[..., Any],
               assets_extra: Optional[Dict[str, str]] = None,
               as_text: bool = False, exports_to_keep: Optional[int] = 5):
    """Takes how it exports; `exports_to_keep` None: all are kept."""
    if exports_to_keep is not None and exports_to_keep < 1:
      raise ValueError(f"exports_to_keep: found {exports_to_keep}; allowed: at "
                       "least 1, or None")
    self.name = name
    self._rest = (serving_input_receiver_fn, assets_extra, as_text)
    self._keep = exports_to_keep

  def export(self, estimator: Any, export_path: str, checkpoint_path: str,
             eval_result: Dict[str, Any], is_the_final_export: bool
             ) -> Optional[str]:
    """Exports a checkpoint.

    Args:
      estimator: The Estimator.
      export_path: Folder of the versions.
      checkpoint_path: The checkpoint.
      eval_result: Its metrics.
      is_the_final_export: Whether training has ended.

    Returns:
      Path of the version; None: there is none.
    """
    del eval_result, is_the_final_export
    path = estimator.export_saved_model(export_path, *self._rest,
                                        checkpoint_path)
    found = list(versions.numbered(export_path).values())
    for old in found[:-self._keep] if self._keep else []:
      shutil.rmtree(old)
    return path


class FinalExporter(LatestExporter):
  """Exports once, at the end of training."""

  def __init__(self, name: str, serving_input_receiver_fn: Callable[..., Any],
               assets_extra: Optional[Dict[str, str]] = None,
               as_text: bool = False):
    """Takes how it exports."""
    super().__init__(name, serving_input_receiver_fn, assets_extra, as_text,
                     None)

  def export(self, estimator: Any, export_path: str, checkpoint_path: str,
             eval_result: Dict[str, Any], is_the_final_export: bool
             ) -> Optional[str]:
    """Exports a checkpoint, if it is the last; see `LatestExporter`."""
    if not is_the_final_export:
      return None
    return super().export(estimator, export_path, checkpoint_path, eval_result,
                          is_the_final_export)


def export_all(exporters, estimator: Any, checkpoint: str,
               metrics: Dict[str, Any], is_final: bool) -> list:
  """Has every exporter export a checkpoint; returns what each returned."""
  return [exporter.export(
      estimator, os.path.join(estimator.model_dir, "export", exporter.name),
      checkpoint, metrics, is_final) for exporter in exporters]
