"""AUM, against margins that are averaged by hand."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from skorch.callbacks import Callback
from skorch.dataset import ValidSplit
from torch import nn

from crust_sklearn import NoisyLabelClassifier, find_label_issues, make_label_noise
from crust_sklearn.baselines import AUMClassifier
from crust_sklearn.baselines.aum import (
    combine_runs,
    draw_threshold_samples,
    extend_class_weights,
    find_lost,
    rate,
)
from crust_sklearn.baselines.parts.margin_net import MarginNet, compute_margins
from crust_sklearn.losses import ForwardCorrectedLoss
from crust_sklearn.modules import MLP

X, TRUE = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)
NOISY = make_label_noise(TRUE[:600], "symmetric", 0.4, random_state=0)
# Three classes, for what is about the mechanics alone.
FEW = np.flatnonzero(TRUE < 3)[:90]
A, B = X[FEW], TRUE[FEW]


def make(cls=AUMClassifier, module=MLP, **params):
    defaults = {"max_epochs": 4, "lr": 0.01, "batch_size": 32, "random_state": 0, "verbose": 0}
    if issubclass(cls, AUMClassifier):
        defaults["percentile"] = 50  # few epochs: not all of a class is to be below it
    if module is MLP:
        defaults["module__hidden_sizes"] = (16,)
    return cls(module, **defaults | params)


def get_margins(z, y):
    """Return margins by their definition."""
    z = np.asarray(z, np.float64)
    return np.array(
        [row[label] - np.delete(row, label).max() for row, label in zip(z, y, strict=True)]
    )


# -- margins ----------------------------------------------------------------------------------


def test_margins_are_those_of_the_definition():
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(20, 5)).astype(np.float32), rng.integers(5, size=20)
    found = compute_margins(torch.as_tensor(z), torch.as_tensor(y))
    np.testing.assert_allclose(found, get_margins(z, y), rtol=1e-6)


class Recording(MLP):
    """Keeps the logits of the training passes, by the rows' first feature."""

    def __init__(self, in_features, num_classes):
        super().__init__(in_features, num_classes, hidden_sizes=(8,))
        self.seen = []

    def forward(self, X):
        z = super().forward(X)
        if self.training:
            self.seen.append((X[:, 0].long().tolist(), z.detach().double().numpy()))
        return z


def test_aum_is_the_mean_of_the_margins_of_three_epochs():
    rows = np.column_stack([np.arange(90), A]).astype(np.float32)
    net = make(MarginNet, Recording, max_epochs=3).fit(rows, B)
    found = [[] for _ in rows]
    for numbers, z in net.module_.seen:
        for row, margin in zip(numbers, get_margins(z, B[numbers]), strict=True):
            found[row].append(margin)
    assert {len(margins) for margins in found} == {3}
    assert np.ptp(found, axis=1).min() > 0  # the epochs differ
    np.testing.assert_allclose(net.aum_, np.mean(found, axis=1), rtol=1e-4, atol=1e-5)


def test_margins_are_of_the_logarithms_where_modules_return_probabilities():
    class Softmax(MLP):
        def forward(self, X):
            return super().forward(X).softmax(dim=1)

    logits = make(MarginNet).fit(A, B)
    net = make(MarginNet, Softmax, module__hidden_sizes=(16,), criterion=nn.NLLLoss)
    np.testing.assert_allclose(net.fit(A, B).aum_, logits.aum_, atol=1e-3)


@pytest.mark.parametrize("criterion", [nn.CrossEntropyLoss, nn.MultiMarginLoss])
def test_noting_margins_changes_nothing_of_the_training(criterion):
    weights = np.random.default_rng(0).uniform(size=90)
    noting, plain = (
        make(cls, criterion=criterion).fit(A, B, sample_weight=weights)
        for cls in (MarginNet, NoisyLabelClassifier)
    )
    np.testing.assert_array_equal(noting.predict_proba(A), plain.predict_proba(A))


def test_rows_that_no_batch_held_have_no_aum():
    # Of 90 rows, two batches of 40 are trained on.
    net = make(MarginNet, batch_size=40, iterator_train__drop_last=True, max_epochs=1).fit(A, B)
    assert np.count_nonzero(np.isnan(net.aum_)) == 10


# -- threshold and choice ---------------------------------------------------------------------


@pytest.mark.parametrize(("n_rows", "n_classes", "size"), [(90, 3, 22), (100, 9, 10), (7, 2, 2)])
def test_threshold_samples_are_disjoint_and_of_the_size_of_a_class(n_rows, n_classes, size):
    rows = 3 * np.arange(n_rows)
    first, second = draw_threshold_samples(rows, n_classes, seed=5)
    assert len(first) == len(second) == size
    both = np.concatenate([first, second])
    assert len(np.unique(both)) == 2 * size
    assert set(both) <= set(rows)
    other, _ = draw_threshold_samples(rows, n_classes, seed=6)
    assert set(other) != set(first)


def test_rows_are_compared_with_the_threshold_of_the_runs_that_judge_them():
    rng = np.random.default_rng(0)
    aums = rng.normal(size=(200, 2)) + [0.0, 10.0]
    samples = np.arange(40), np.arange(40, 80)
    aum, threshold = combine_runs(aums, samples, 90)
    at = [np.percentile(aums[chosen, run], 90) for run, chosen in enumerate(samples)]
    assert threshold == pytest.approx(np.mean(at))
    is_below = aums < at
    expected = is_below.all(axis=1)  # in both, as in the authors' code
    expected[samples[0]] = is_below[samples[0], 1]  # threshold samples by the other run
    expected[samples[1]] = is_below[samples[1], 0]
    np.testing.assert_array_equal(aum < threshold, expected)
    # The distance from the threshold is that of the run.
    np.testing.assert_allclose(aum[:40] - threshold, aums[:40, 1] - at[1])
    np.testing.assert_allclose(aum[40:80] - threshold, aums[40:80, 0] - at[0])
    np.testing.assert_allclose(aum[80:] - threshold, (aums[80:] - at).max(axis=1))


def test_rows_that_one_run_has_not_seen_are_judged_by_the_other():
    aums = np.array([[np.nan, 1.0], [4.0, np.nan], [np.nan, np.nan], [0.0, 0.0], [0.0, 2.0]])
    aum, threshold = combine_runs(aums, (np.array([3]), np.array([4])), 50)
    assert threshold == 1.0
    assert aum.tolist()[:2] == [0.0, 5.0]
    assert np.isnan(aum[2])


def test_classes_that_would_lose_all_their_rows():
    codes, is_below = np.array([0, 0, 1, 1, 2]), np.array([True, False, True, True, True])
    assert find_lost(is_below, codes, None, 4).tolist() == [False, True, True, False]
    weights = np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    assert find_lost(is_below, codes, weights, 4).tolist() == [True, True, False, False]


def test_scores_fall_with_the_aum_and_are_one_half_at_the_threshold():
    aum = np.array([-50.0, 0.9, 1.0 - 1e-15, 1.0, 1.1, 80.0])
    scores = rate(aum, 1.0, aum < 1.0)
    assert (np.diff(scores) >= 0).all()
    assert scores[3] == 0.5
    np.testing.assert_array_equal(scores < 0.5, aum < 1.0)
    np.testing.assert_allclose(scores[4], 1 / (1 + np.exp(-0.1 / aum.std())))


def test_scores_of_rows_that_are_kept_all_the_same_are_one_half():
    scores = rate(np.array([0.0, 0.0, np.nan, 3.0]), 1.0, np.array([True, False, False, False]))
    assert scores[0] < 0.5
    assert scores[1:3].tolist() == [0.5, 0.5]
    assert rate(np.zeros(3), 0.0, np.zeros(3, bool)).tolist() == [0.5] * 3


# -- the method -------------------------------------------------------------------------------


class Stages(AUMClassifier):
    """Keeps what the two first networks are, and are given."""

    def train_stage(self, name, kind, **changes):
        stage = super().train_stage(name, kind, **changes)
        self.stages_ = [*vars(self).get("stages_", ()), (stage, changes["codes"])]
        return stage


def test_two_networks_with_a_class_more_judge_the_rows():
    net = make(Stages, max_epochs=6, percentile=80).fit(A, B)
    assert list(net.stage_histories_) == ["first margins", "second margins"]
    samples = []
    for stage, codes in net.stages_:
        assert len(stage.history) == 3
        assert stage.module_.fc.out_features == 4
        samples.append(np.flatnonzero(codes == 3))
        np.testing.assert_array_equal(np.delete(codes, samples[-1]), np.delete(B, samples[-1]))
    assert [len(chosen) for chosen in samples] == [22, 22]
    assert not set(samples[0]) & set(samples[1])
    aums = np.column_stack([stage.aum_ for stage, _ in net.stages_])
    aum, threshold = combine_runs(aums, samples, 80)
    np.testing.assert_array_equal(net.aum_, aum)
    assert net.aum_threshold_ == threshold
    assert net.module_.fc.out_features == 3
    kept = np.flatnonzero(aum >= threshold)
    assert 45 < len(kept) < 90
    np.testing.assert_array_equal(net.coreset_indices_, kept)
    assert net.history[:, "coreset_size"] == [len(kept)] * 6
    assert net.noise_rate_ == pytest.approx(1 - len(kept) / 90)
    np.testing.assert_array_equal(net.label_quality_ < 0.5, aum < threshold)
    proba = net.predict_proba(A)
    proba[np.arange(90), B] = -1
    expected = np.where(aum < threshold, proba.argmax(axis=1), B)
    np.testing.assert_array_equal(net.suggested_labels_, expected)


def test_the_net_itself_is_plain_training_on_the_rows_that_are_kept():
    net = make(percentile=80).fit(A, B)

    class Kept(NoisyLabelClassifier):
        def plan_epoch(self, epoch):
            return self.state_.plan or net.state_.plan

    plain = make(Kept).fit(A, B)
    np.testing.assert_array_equal(net.predict_proba(A), plain.predict_proba(A))


@pytest.mark.parametrize(
    ("epochs", "expected"), [(0.5, 4), (1.0, 8), (0.01, 1), (3, 3), (np.int64(1), 1)]
)
def test_epochs_of_the_first_networks(epochs, expected):
    net = make(max_epochs=8, aum_epochs=epochs, percentile=0).fit(A, B)
    assert [len(history) for history in net.stage_histories_.values()] == [expected] * 2
    assert len(net.history) == 8


def test_finds_wrong_labels_and_is_better_for_it():
    x, is_wrong = X[:600], NOISY.is_wrong
    params = {"max_epochs": 30, "module__hidden_sizes": (64,), "lr": 0.003}
    net = make(**params, percentile=99).fit(x, NOISY.y)
    plain = make(NoisyLabelClassifier, **params).fit(x, NOISY.y)
    issues = find_label_issues(net, as_frame=False)
    is_dropped = np.ones(600, bool)
    is_dropped[net.coreset_indices_] = False
    np.testing.assert_array_equal(np.sort(issues.rows), np.flatnonzero(is_dropped))
    assert is_wrong[is_dropped].mean() > 0.8
    assert is_dropped[is_wrong].mean() > 0.8
    assert (net.suggested_labels_ == TRUE[:600])[is_dropped].mean() > 0.6
    assert net.score(X[600:], TRUE[600:]) > plain.score(X[600:], TRUE[600:])


def test_validation_rows_have_no_aum_and_those_without_weight_no_part():
    weights = np.where(np.arange(90) % 3 == 0, 0.0, 1.0)
    net = make(Stages, train_split=ValidSplit(5)).fit(A, B, sample_weight=weights)
    is_valid = np.isnan(net.aum_)
    assert is_valid.sum() == 18
    assert weights[net.coreset_indices_].all()
    rows = np.flatnonzero(~is_valid)
    n_weighted = np.count_nonzero(weights[rows])
    for stage, codes in net.stages_:
        assert np.count_nonzero(codes == 3) == n_weighted // 4
        assert weights[rows[codes == 3]].all()
        assert len(stage.aum_) == 72
    is_dropped = (net.label_quality_[rows] < 0.5)[weights[rows] > 0]
    assert net.noise_rate_ == pytest.approx(is_dropped.mean())


def test_a_class_below_the_threshold_is_kept_as_a_whole():
    # Of the class 2, no row can be told from those of the others.
    rng = np.random.default_rng(0)
    y = np.where(np.arange(90) < 80, np.arange(90) % 2, 2)
    x = np.column_stack([3.0 * (np.arange(90) % 2) - 1.5, rng.normal(size=90)]).astype(np.float32)
    net = make(aum_epochs=30, lr=0.05, percentile=99, module__hidden_sizes=())
    with pytest.warns(UserWarning, match=r"rows of the classes \[2\] .*aum_epochs.*percentile"):
        net.fit(x, y)
    assert set(range(80, 90)) <= set(net.coreset_indices_)
    assert (net.aum_[80:] < net.aum_threshold_).all()
    assert net.label_quality_[80:].tolist() == [0.5] * 10


def test_the_same_rows_are_judged_once():
    class Epochs(Callback):
        n_begun = 0

        def on_train_begin(self, net, **kwargs):
            type(self).n_begun += isinstance(net, MarginNet)

    net = make(callbacks=[Epochs()]).partial_fit(A, B)
    assert Epochs.n_begun == 2
    aum, histories = net.aum_, net.stage_histories_
    net.partial_fit(A, B)
    assert Epochs.n_begun == 2
    np.testing.assert_array_equal(net.aum_, aum)
    assert net.stage_histories_ is histories
    net.partial_fit(A, B[::-1])
    assert Epochs.n_begun == 4
    assert {"aum", "aum_threshold"} <= set(net.state_.entries)


def test_class_weights_are_extended_by_their_mean():
    weight = torch.tensor([1.0, 2.0, 6.0])
    as_class = make(Stages, percentile=0, criterion__weight=weight).fit(A, B)
    instance = nn.CrossEntropyLoss(weight=weight)
    as_instance = make(Stages, percentile=0, criterion=instance).fit(A, B)
    assert torch.equal(instance.weight, weight)
    for net in (as_class, as_instance):
        for stage, _ in net.stages_:
            assert stage.criterion_.weight.tolist() == [1.0, 2.0, 6.0, 3.0]
        assert net.criterion_.weight.tolist() == [1.0, 2.0, 6.0]
    np.testing.assert_array_equal(as_class.aum_, as_instance.aum_)
    assert extend_class_weights(nn.CrossEntropyLoss, nn.CrossEntropyLoss(), 3) == {}


def make_mlp(in_features, num_classes):
    return MLP(in_features, num_classes, hidden_sizes=(4,))


def make_any(**sizes):
    return MLP(**sizes)


@pytest.mark.parametrize(
    ("module", "params"),
    [
        (make_mlp, {}),
        (make_any, {"module__in_features": 64, "module__num_classes": 3}),
        (MLP, {"module__num_classes": 3}),
    ],
)
def test_modules_that_take_the_number_of_classes(module, params):
    net = make(module=module, percentile=0, **params).fit(A, B)
    assert net.module_.fc.out_features == 3


class OtherName(nn.Module):
    def __init__(self, n_outputs=3):
        super().__init__()
        self.fc = nn.Linear(64, n_outputs)

    def forward(self, X):
        return self.fc(X)


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (MLP(64, 3), r"module=MLP\(\.\.\.\) is an instance, .*a class more.*a function that"),
        (OtherName, "module=OtherName does not take num_classes, .*wrap it in a function"),
    ],
)
def test_other_modules_are_refused(module, sentence):
    with pytest.raises(ValueError, match=sentence):
        make(module=module).fit(A, B)


def test_criteria_of_a_number_of_classes_are_refused():
    params = {"criterion": ForwardCorrectedLoss, "criterion__transition_matrix": np.eye(3)}
    net = make(**params)
    with pytest.raises(ValueError, match="criterion=ForwardCorrectedLoss fails for a class more"):
        net.fit(A, B)
    assert not net.initialized_


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"percentile": 101}, ValueError),
        ({"percentile": "99"}, TypeError),
        ({"aum_epochs": 0}, ValueError),
        ({"aum_epochs": 1.5}, ValueError),
        ({"aum_epochs": None}, TypeError),
    ],
)
def test_parameters_out_of_range(params, error):
    with pytest.raises(error, match=next(iter(params))):
        make(**params).fit(A, B)


def test_too_few_rows():
    with pytest.raises(ValueError, match="at least 8 training rows .* 3 classes, and there are 7"):
        make().fit(A[:7], B[:7])
    assert len(make(percentile=0).fit(A[:8], B[:8]).aum_) == 8
    weights = np.where(np.arange(8) < 7, 1.0, 0.0)
    with pytest.raises(ValueError, match="there are 7"):
        make().fit(A[:8], B[:8], sample_weight=weights)
