"""LabelledNet: datasets with codes as labels, and batches in the precision of the module."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch import nn
from torch.utils.data import Subset, TensorDataset

from crust_sklearn.data import RelabelledDataset, read_labels
from crust_sklearn.modules import MLP
from crust_sklearn.nets import NoisyLabelClassifier
from crust_sklearn.nets.labelled_net import LabelledNet, match_precision

X, Y = load_iris(return_X_y=True)
X = X.astype(np.float32)
NAMES = np.array(["setosa", "versicolor", "virginica"])[Y]


def make(cls=LabelledNet, **params):
    defaults = {"max_epochs": 1, "lr": 0.05, "verbose": 0, "random_state": 0}
    return cls(MLP, **defaults | params)


def learn(y):
    net = make()
    net.learn_data(X, y, reset=True)
    return net


def test_labels_are_codes_inside():
    assert read_labels(learn(NAMES).get_dataset(X, NAMES)).tolist() == Y.tolist()


def test_a_dataset_that_holds_the_codes_is_taken_as_it_is():
    dataset = TensorDataset(torch.as_tensor(X), torch.as_tensor(Y))
    assert learn(Y).get_dataset(dataset, Y) is dataset


@pytest.mark.parametrize(
    ("dataset", "y"),
    [
        (TensorDataset(torch.as_tensor(X), torch.as_tensor(Y + 3)), Y + 3),
        (TensorDataset(torch.as_tensor(X), torch.as_tensor(Y)), (Y + 1) % 3),
        (TensorDataset(torch.as_tensor(X)), NAMES),
        (Subset(Dataset(X, Y), range(150)), Y),
    ],
    ids=["other labels inside", "other labels apart", "no labels inside", "subset"],
)
def test_other_datasets_are_relabelled(dataset, y):
    net = learn(y)
    found = net.get_dataset(dataset, y)
    assert isinstance(found, RelabelledDataset)
    np.testing.assert_array_equal(net.codec_.decode(read_labels(found)), y)
    np.testing.assert_array_equal(found[7][0], X[7])


def test_labels_of_a_validation_set_apart_are_codes_too():
    valid = Dataset(X[:20], NAMES[:20])
    net = learn(NAMES).set_params(train_split=predefined_split(valid))
    _, found = net.get_split_datasets(X, NAMES)
    assert read_labels(found).tolist() == Y[:20].tolist()


def test_sizes_of_the_module_are_those_of_the_data():
    net = make(cls=NoisyLabelClassifier).fit(X, NAMES)
    assert net.module_.fc.out_features == 3
    assert net.predict_proba(X).shape == (150, 3)
    assert net.score(X, NAMES) == np.mean(net.predict(X) == NAMES)


def test_sizes_that_are_given_count():
    net = make(cls=NoisyLabelClassifier, max_epochs=0, module__num_classes=5).fit(X, Y)
    assert net.module_.fc.out_features == 5


def test_after_the_weights_alone_predictions_are_columns(tmp_path):
    net = make(cls=NoisyLabelClassifier, max_epochs=15).fit(X, NAMES)
    net.save_params(f_params=tmp_path / "weights.pt")
    sizes = {"module__in_features": 4, "module__num_classes": 3}
    again = make(cls=NoisyLabelClassifier, **sizes).initialize()
    again.load_params(f_params=tmp_path / "weights.pt")
    np.testing.assert_array_equal(net.classes_[again.predict(X)], net.predict(X))


# -- precision --------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_floats_have_the_precision_of_the_weights(weights):
    module = nn.Linear(2, 2).to(weights)
    for dtype in (torch.float16, torch.float32, torch.float64):
        found = match_precision(torch.ones(3, 2, dtype=dtype), module)
        assert found.dtype == weights
        assert found.tolist() == [[1.0, 1.0]] * 3


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.bool])
def test_integers_stay_what_they_are(dtype):
    x = torch.ones(3, 2, dtype=dtype)
    assert match_precision(x, nn.Linear(2, 2)) is x


def test_all_parts_of_dicts_and_lists_do():
    x = {"a": [np.ones(2), torch.ones(2, dtype=torch.int64)], "b": (np.ones(2), "text")}
    found = match_precision(x, nn.Linear(2, 2))
    assert [leaf.dtype for leaf in found["a"]] == [torch.float32, torch.int64]
    assert found["b"][0].dtype == torch.float32
    assert found["b"][1] == "text"


class Quantized(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(2, dtype=torch.int8), requires_grad=False)


@pytest.mark.parametrize("module", [nn.Identity(), Quantized(), lambda x: x])
def test_without_floating_weights_nothing_is_changed(module):
    x = torch.ones(2, dtype=torch.float64)
    assert match_precision(x, module) is x
