"""Exports: one file that holds preprocessing, network and calibration, for use without polylogit.

    exporting.py     export_model: builds, compares with the classifier, writes
    artifact.py      an exported model before it is written
    check_rows.py    the rows of the comparison; parity.py makes it
    onnx_target.py   ONNX: onnx_table.py, onnx_network.py and onnx_calibration.py add nodes to an onnx_graph.py
    sql_target.py    SQL: sql_features.py and sql_statement.py make the SELECT; see sql_expressions.py, sql_dialects.py
    torch_target.py  a program of torch.export

The names are imported when they are first used.
"""

from typing import TYPE_CHECKING

from polylogit.system.lazy_names import lazy_names

if TYPE_CHECKING:
    from polylogit.export.exporting import Export, export_model

_HOME = {"Export": "polylogit.export.exporting", "export_model": "polylogit.export.exporting"}

__all__ = ["Export", "export_model"]

__getattr__ = lazy_names(__name__, _HOME)


def __dir__() -> list[str]:
    return sorted(__all__)
