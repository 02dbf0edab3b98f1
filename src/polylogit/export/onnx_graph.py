"""A small builder of ONNX graphs: each node has one output, whose name no input of the model can have."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from polylogit.errors import ExportError
from polylogit.system.optional import import_extra

__all__ = ["IR_VERSION", "OPSETS", "OnnxGraph"]

OPSETS = {"": 18, "ai.onnx.ml": 3}
"""The operator sets that an export needs."""

IR_VERSION = 8
"""The version of the file format that came with operator set 18."""

Values = int | float | Sequence[Any] | npt.NDArray[Any]


class OnnxGraph:
    """Nodes, constants, inputs and outputs of a graph under construction.

    Args:
        reserved: Names that belong to inputs and outputs.

    Example:
        >>> graph = OnnxGraph({"x"})
        >>> graph.node("Add", graph.input("x", np.float32, ("N", 2)), graph.float32([1, 2]))
        'Add.2'
    """

    def __init__(self, reserved: Collection[str] = ()) -> None:
        self._onnx = import_extra("onnx")
        self._reserved = set(reserved)
        self._count = 0
        self._proto = self._onnx.GraphProto(name="polylogit")
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def input(self, name: str, dtype: Any, shape: Sequence[int | str]) -> str:  # noqa: ANN401 - any numpy type
        """An input of the model."""
        self._proto.input.append(self._value(name, dtype, shape))
        return name

    def output(self, name: str, source: str, dtype: Any, shape: Sequence[int | str]) -> None:  # noqa: ANN401
        """Make the output of a node an output of the model, under a name of its own."""
        self._proto.node.append(self._onnx.helper.make_node("Identity", [source], [name]))
        self._proto.output.append(self._value(name, dtype, shape))

    def constant(self, values: npt.NDArray[Any]) -> str:
        """A constant; equal ones are stored once."""
        key = (values.dtype.str, values.shape, values.tobytes())
        if key not in self._constants:
            name = self._fresh("constant")
            self._proto.initializer.append(self._onnx.numpy_helper.from_array(values, name))
            self._constants[key] = name
        return self._constants[key]

    def float32(self, values: Values) -> str:
        """A constant of 32 bits."""
        return self.constant(np.asarray(values, dtype=np.float32))

    def float64(self, values: Values) -> str:
        """A constant of 64 bits."""
        return self.constant(np.asarray(values, dtype=np.float64))

    def int64(self, values: Values) -> str:
        """A constant of whole numbers."""
        return self.constant(np.asarray(values, dtype=np.int64))

    def texts(self, values: Sequence[str]) -> str:
        """A constant vector of strings."""
        name = self._fresh("texts")
        encoded = [encodable(value).encode() for value in values]
        tensor = self._onnx.helper.make_tensor(name, self._onnx.TensorProto.STRING, [len(encoded)], encoded)
        self._proto.initializer.append(tensor)
        return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:  # noqa: ANN401
        """A node; the result is the name of its output."""
        name = self._fresh(operator)
        made = self._onnx.helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes)
        self._proto.node.append(made)
        return name

    def graft(self, model: Any, source: str) -> str:  # noqa: ANN401 - a ModelProto
        """Put all nodes of a model of one input and one output after a node; the result is the name of its output."""
        graph = self._onnx.compose.add_prefix_graph(model.graph, self._fresh("network") + "/")
        self._proto.node.append(self._onnx.helper.make_node("Identity", [source], [graph.input[0].name]))
        self._proto.initializer.extend(graph.initializer)
        self._proto.node.extend(graph.node)
        return str(graph.output[0].name)

    def model(self) -> Any:  # noqa: ANN401 - a ModelProto
        """The model, checked."""
        helper = self._onnx.helper
        opsets = [helper.make_opsetid(domain, number) for domain, number in OPSETS.items()]
        model = helper.make_model(self._proto, opset_imports=opsets, ir_version=IR_VERSION, producer_name="polylogit")
        self._onnx.checker.check_model(model, full_check=True)
        return model

    def _fresh(self, kind: str) -> str:
        while True:
            self._count += 1
            name = f"{kind}.{self._count}"
            if name not in self._reserved:
                return name

    def _value(self, name: str, dtype: Any, shape: Sequence[int | str]) -> Any:  # noqa: ANN401
        helper, kinds = self._onnx.helper, self._onnx.TensorProto
        kind = kinds.STRING if dtype is str else helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return helper.make_tensor_value_info(encodable(name), kind, list(shape))


def encodable(text: str) -> str:
    """A name or category that can be stored as UTF-8.

    Raises:
        ExportError: It has half of a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        raise ExportError(f"{text!r}: the name is not valid Unicode and cannot be exported. Rename it.") from fault
    return text
