"""Checks before training, where a whole fit is not needed to see what they say."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris
from skorch.callbacks import Checkpoint, EarlyStopping, LRScheduler
from torch import nn
from torch.utils.data import TensorDataset, default_collate

from crust_sklearn import NoisyLabelClassifier
from crust_sklearn.nets import checks

X, Y = load_iris(return_X_y=True)
X = torch.as_tensor(X, dtype=torch.float32)


def check_agreement(y):
    dataset = TensorDataset(X, torch.as_tensor(y))
    checks.check_items_agree(dataset, Y, default_collate)


def test_items_that_have_the_labels_agree():
    check_agreement(Y)


def test_labels_of_items_that_are_not_one_each():
    with pytest.raises(ValueError, match=r"labels of shape \(2,\): one class label per row"):
        check_agreement(np.stack([Y, Y], axis=1))


def test_a_fifth_of_other_labels_is_found():
    rng = np.random.RandomState(0)
    n_missed = 0
    for _ in range(200):
        y = np.where(rng.uniform(size=150) < 0.2, (Y + 1) % 3, Y)
        try:
            check_agreement(y)
        except ValueError:
            continue
        n_missed += 1
    assert n_missed <= 3  # 0.8 ** 32 of them are overlooked, one in a thousand


@pytest.mark.parametrize(
    ("callback", "is_refused"),
    [
        (EarlyStopping(), True),
        (EarlyStopping(monitor="train_loss"), False),
        (Checkpoint(), True),
        (Checkpoint(monitor=None), False),
        (Checkpoint(monitor="valid_acc_best"), True),
        (LRScheduler("StepLR", step_size=1), False),
        (LRScheduler("ReduceLROnPlateau", monitor="valid_loss"), True),
        (LRScheduler("ReduceLROnPlateau", monitor="train_loss"), False),
    ],
)
def test_callbacks_that_go_by_a_validation_score(callback, is_refused):
    named = [("mine", callback)]
    checks.check_monitors(named, has_validation=True)
    if not is_refused:
        checks.check_monitors(named, has_validation=False)
        return
    with pytest.raises(ValueError, match="callback 'mine'.*no validation split.*'train_loss'"):
        checks.check_monitors(named, has_validation=False)


@pytest.mark.parametrize(
    ("weight", "is_refused"), [(None, False), (torch.ones(3), False), (torch.ones(2), True)]
)
def test_class_weights(weight, is_refused):
    criterion = nn.CrossEntropyLoss(weight=weight)
    if not is_refused:
        return checks.check_class_weights(criterion, 3)
    with pytest.raises(ValueError, match="criterion__weight has 2 entries.*3 classes"):
        checks.check_class_weights(criterion, 3)


def test_a_criterion_of_ones_own_may_have_any_weight():
    criterion = nn.Linear(4, 2)  # its weight is a matrix
    checks.check_class_weights(criterion, 3)


def test_labels_that_cannot_be_read():
    checks.check_readable(Y)
    with pytest.raises(ValueError, match=r"cannot be read.*fit\(dataset, y\)"):
        checks.check_readable(None)


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(None, False), ([], True), (np.array([]), True), ([1], False), (3, False)],
)
def test_is_empty_classes(classes, expected):
    assert checks.is_empty_classes(classes) is expected


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed, self.fc = nn.EmbeddingBag(10, 4), nn.Linear(4, 3)

    def forward(self, ids):
        return self.fc(self.embed(ids))


def test_mixtures_of_token_ids():
    net = NoisyLabelClassifier(Tokens, random_state=0).initialize()
    ids, y = torch.ones(2, 5, dtype=torch.int64), torch.tensor([0, 1])
    net.module_.train()
    with pytest.raises(TypeError, match="module=Tokens cannot take mixtures.*mixup=None"):
        checks.check_mixing(net, ids, y)
    assert net.module_.training


def test_a_failing_module_is_told_of_with_what_it_was_given():
    x = {"a": [torch.zeros(2, 4), torch.zeros(2)]}
    error = checks.explain_failure(RuntimeError("inside"), x, nn.Linear(3, 2))
    assert "module=Linear fails" in str(error)
    assert "torch.float32 of shape (2, 4): RuntimeError: inside" in str(error)
