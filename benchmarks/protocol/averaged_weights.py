"""Averaged weights: a callback for any skorch net."""

from skorch.callbacks import Callback
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class AverageWeights(Callback):
    """An exponential average of the weights, put in the place of the last ones at the end.

    Its length is a tenth of the training, so that it is the same share of short and long ones.
    """

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_train_begin(self, net, **kwargs):
        decay = 1 - min(1.0, 10 / self.n_steps)
        self.average_ = AveragedModel(
            net.module_, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True
        )

    def on_batch_end(self, net, training=False, **kwargs):
        if training:
            self.average_.update_parameters(net.module_)

    def on_train_end(self, net, **kwargs):
        net.module_.load_state_dict(self.average_.module.state_dict())
