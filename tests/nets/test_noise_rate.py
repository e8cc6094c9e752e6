"""The parameter `noise_rate`: told, scheduled, or found."""

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from crust_sklearn import NoisyLabelClassifier, make_label_noise
from crust_sklearn.label_noise import LabelQuality
from crust_sklearn.modules import MLP
from crust_sklearn.nets import noise_rate
from crust_sklearn.nets.noise_rate import NoiseRateMixin

X, Y = load_digits(return_X_y=True)
X = (X / 16).astype(np.float32)


class Knows(NoiseRateMixin, NoisyLabelClassifier):
    """Notes the rate of every epoch."""

    def __init__(self, module, *, noise_rate="auto", **kwargs):
        self.noise_rate = noise_rate
        super().__init__(module, **kwargs)

    def check_parameters(self):
        super().check_parameters()
        self.check_noise_rate()

    def plan_epoch(self, epoch):
        plan = self.hold_out(epoch)
        self.history.record("rate", self.get_noise_rate(epoch))
        return plan


def make(module=MLP, **params):
    defaults = {"max_epochs": 3, "verbose": 0, "random_state": 0}
    if module is MLP:
        defaults["module__hidden_sizes"] = (32,)
    return Knows(module, **defaults | params)


@pytest.mark.parametrize("value", [0, 0.25, np.float32(0.5), 0.999])
def test_a_number_is_taken_as_it_is(value):
    assert make(noise_rate=value).fit(X[:90], Y[:90]).history[:, "rate"] == [float(value)] * 3


def test_a_schedule_is_asked_for_every_epoch():
    net = make(noise_rate=lambda epoch: 0.1 * epoch).fit(X[:90], Y[:90])
    assert net.history[:, "rate"] == pytest.approx([0, 0.1, 0.2])
    net.partial_fit(X[:90], Y[:90], epochs=1)
    assert net.history[-1, "rate"] == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        (1.0, ValueError, "noise_rate must be a number"),
        (-0.1, ValueError, "noise_rate must be a number"),
        (np.nan, ValueError, "noise_rate must be a number"),
        ("car", ValueError, "noise_rate='car'.*'auto'"),
        (None, TypeError, "noise_rate must be a number"),
        (True, TypeError, "noise_rate must be a number"),
        ([0.1], TypeError, "noise_rate must be a number"),
    ],
)
def test_what_is_none_is_refused_before_anything_is_made(value, error, message):
    net = make(noise_rate=value)
    with pytest.raises(error, match=message):
        net.fit(X[:90], Y[:90])
    assert not net.initialized_


@pytest.mark.parametrize(("late", "error"), [(1.5, ValueError), (None, TypeError)])
def test_a_schedule_out_of_range_is_told_in_its_epoch(late, error):
    net = make(noise_rate=lambda epoch: 0.1 if epoch == 0 else late)
    with pytest.raises(error, match="noise_rate must be a number"):
        net.fit(X[:90], Y[:90])
    assert net.history[0, "rate"] == 0.1


@pytest.mark.parametrize("rate", [0.0, 0.2, 0.4])
def test_auto_is_close_to_the_truth(rate):
    y = make_label_noise(Y, "symmetric", rate, random_state=0).y if rate else Y
    net = make(max_epochs=2).fit(X, y)
    assert net.history[0, "rate"] == 0
    assert net.history[1, "rate"] == pytest.approx((y != Y).mean(), abs=0.06)


def test_auto_is_found_once_and_goes_on_over_calls():
    y = make_label_noise(Y, "symmetric", 0.2, random_state=0).y
    whole = make(max_epochs=4).fit(X[:400], y[:400]).history[:, "rate"]
    halves = make().partial_fit(X[:400], y[:400], epochs=2)
    halves.partial_fit(X[:400], y[:400], epochs=2)
    assert halves.history[:, "rate"] == whole
    assert len(set(whole[1:])) == 1


class Pixels(torch.nn.Module):
    """Takes images that are too large to be judged as vectors."""

    def __init__(self):
        super().__init__()
        self.fc = torch.nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(x.mean(dim=(1, 4, 5)).flatten(1))


IMAGES = np.tile(X[:600].reshape(600, 1, 8, 8, 1, 1), (1, 3, 1, 1, 8, 8))
NOISY = make_label_noise(Y[:600], "symmetric", 0.3, random_state=0).y


def make_for_images(**params):
    return make(module=Pixels, lr=0.05, **params)


@pytest.mark.parametrize("max_epochs", [2, 6, 15])
def test_auto_of_images_asks_rows_that_are_held_out(max_epochs):
    net = make_for_images(max_epochs=max_epochs).fit(IMAGES, NOISY)
    rates, sizes = np.array(net.history[:, "rate"]), np.array(net.history[:, "coreset_size"])
    first = np.flatnonzero(rates)[0]
    assert 1 <= first <= 2 / 3 * max_epochs
    np.testing.assert_array_equal(sizes, np.where(np.arange(max_epochs) < first, 500, 600))
    assert len(set(rates[first:])) == 1
    assert rates[-1] == pytest.approx(np.mean(Y[:600] != NOISY), abs=0.1)


def test_auto_of_images_is_what_the_open_warmup_finds(monkeypatch):
    def find(net, epoch, features):
        assert features.shape == (600, 64)
        start = LabelQuality.start(net.training_.codes, 10)
        return None if epoch < 3 else start.update(features)

    monkeypatch.setattr(noise_rate, "find_first_judgement", find)
    net = make_for_images(max_epochs=5).fit(IMAGES, NOISY)
    rates = net.history[:, "rate"]
    assert rates[:3] == [0, 0, 0]
    assert rates[3] == rates[4] > 0
    assert net.history[:, "coreset_size"] == [500, 500, 500, 600, 600]


def test_rows_that_cannot_be_told_apart_do_not_count_as_wrong():
    features = np.repeat([-1.0, 1.0, 0.0], [100, 100, 400])[:, None]
    codes = np.concatenate([np.repeat([0, 1], 100), np.tile([0, 1], 200)])
    codes[:10] = 1
    weights = np.ones(600)
    weights[:5] = 0
    quality = LabelQuality.start(codes, 2, weights).update(features)
    assert quality.noise_rate > 0.1
    assert noise_rate.compute_sure_noise(quality) == pytest.approx(5 / 195, abs=0.03)


def test_auto_of_images_goes_on_over_calls():
    whole = make_for_images(max_epochs=6).fit(IMAGES, NOISY).history[:, "rate"]
    parts = make_for_images()
    for epochs in (1, 2, 3):
        parts.partial_fit(IMAGES, NOISY, epochs=epochs)
    assert parts.history[:, "coreset_size"][0] == 500
    assert whole[-1] > 0
    assert parts.history[-1, "rate"] > 0


def test_nothing_is_held_out_for_a_single_epoch_or_a_rate_that_is_given():
    for params in ({"max_epochs": 1}, {"noise_rate": 0.3}):
        net = make_for_images(**params).fit(IMAGES, NOISY)
        assert set(net.history[:, "coreset_size"]) == {600}
