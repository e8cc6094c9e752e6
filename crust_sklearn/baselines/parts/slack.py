"""What is added to a transition matrix, learnt beside the weights of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

SLACK = "slack"
# What Adam knows of its earlier steps.
_MOMENTS = ("step", "exp_avg", "exp_avg_sq")


class Slack:
    """A slack of a transition matrix, and the optimizer that learns it.

    Parameters
    ----------
    matrix : ndarray of shape (n_classes, n_classes)
        T, which the slack dT is added to.
    entries : dict of str to array or tensor
        Where it is kept, as the `entries` of a `TrainingState`; that of earlier steps goes on.
    lr : float
        Of Adam: about as much as an entry of dT can change in a step.
    device : torch.device

    Examples
    --------
    >>> import numpy as np
    >>> from crust_sklearn.baselines.parts.slack import Slack
    >>> slack = Slack(np.eye(2), {}, lr=0.25, device="cpu")
    >>> slack.get_revised()[0, 1].backward()
    >>> slack.step()
    >>> slack.get_revised().detach().numpy().round(3)
    array([[1., 0.],
           [0., 1.]], dtype=float32)
    """

    def __init__(self, matrix: np.ndarray, entries: dict[str, Any], lr: float, device: Any):
        self.entries = entries
        self.matrix = torch.as_tensor(matrix, dtype=torch.float32, device=device)
        kept = entries.get(SLACK)
        start = torch.zeros_like(self.matrix) if kept is None else torch.as_tensor(kept)
        self.parameter = nn.Parameter(start.to(device))
        self.optimizer = torch.optim.Adam([self.parameter], lr=lr)
        if kept is not None:
            moments = {name: torch.as_tensor(entries[f"{SLACK}.{name}"]) for name in _MOMENTS}
            # The count of steps stays where Adam has it, on the CPU.
            self.optimizer.state[self.parameter] = {
                name: moment if name == "step" else moment.to(device)
                for name, moment in moments.items()
            }

    def get_revised(self) -> Tensor:
        """Return the rows of T + dT, scaled to sum to one.

        Returns
        -------
        revised : tensor of shape (n_classes, n_classes), dtype float32
            Depends on the parameter.
        """
        total = self.matrix + self.parameter
        return total / total.sum(dim=1, keepdim=True)

    def step(self) -> None:
        """Take a step by the gradient that the parameter has; T + dT stays at least zero."""
        self.optimizer.step()
        self.optimizer.zero_grad()
        with torch.no_grad():
            torch.maximum(self.parameter, -self.matrix, out=self.parameter)
        state = self.optimizer.state[self.parameter]
        self.entries[SLACK] = self.parameter.detach()
        self.entries |= {f"{SLACK}.{name}": state[name] for name in _MOMENTS}
