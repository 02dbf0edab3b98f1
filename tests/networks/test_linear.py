import pytest
import torch

from polylogit.errors import ModelFileError
from polylogit.networks import LinearNetwork, build_network


def test_logits_are_linear_in_flattened_inputs():
    weight, bias = torch.randn(3, 8, dtype=torch.float64), torch.randn(3, dtype=torch.float64)
    network = LinearNetwork.with_weights(weight, bias)
    pictures = torch.randn(5, 2, 2, 2)
    expected = pictures.flatten(1).double() @ weight.T + bias
    torch.testing.assert_close(network(pictures).double(), expected, rtol=1e-5, atol=1e-5)


def test_an_unknown_kind_is_reported_with_the_nearest():
    with pytest.raises(ModelFileError, match=r'no network of kind "liner" is known here\. Did you mean "linear"'):
        build_network("liner", {})


@pytest.mark.parametrize("options", [{"features": 3}, {"features": -1, "classes": 2}, {"features": "x", "classes": 2}])
def test_options_that_build_nothing_are_reported(options):
    with pytest.raises(ModelFileError, match="the options of the linear network do not fit"):
        build_network("linear", options)
