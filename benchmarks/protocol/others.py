"""The methods of `crust_sklearn.baselines` and `losses`, each twice: one default for all sets, and
the paper's own optimizer and settings, its counts of epochs scaled to those of the recipe.

What a paper knows of the noise, its method is told: the share of wrong labels, at most.
"""

from dataclasses import dataclass, field

from torch.optim import SGD, Adam

from crust_sklearn import NoisyLabelClassifier, baselines, losses
from crust_sklearn.modules import GaussianNoise, RandomCropFlip


def sgd(lr, weight_decay, batch_size=128, **options):
    """Return SGD with momentum, as the papers have it."""
    own = {"momentum": 0.9, "weight_decay": weight_decay} | options
    return {"optimizer": SGD, "lr": lr, "batch_size": batch_size} | {
        f"optimizer__{name}": value for name, value in own.items()
    }


def leave_out(options, *names):
    """Return skorch's parameters without these, and theirs."""
    return {name: value for name, value in options.items() if name.partition("__")[0] not in names}


ADAM = {"optimizer": Adam, "lr": 1e-3, "batch_size": 128}


@dataclass(frozen=True)
class Other:
    """One method: its class, the paper's parameters, and those that are counts of the paper's
    `n_epochs` epochs; `knows_rate` is what the paper tells it. `views`: it needs `augment`.
    """

    name: str
    cls: type
    paper: dict
    epochs: dict = field(default_factory=dict)
    n_epochs: int = 200
    knows_rate: bool = False
    views: bool = False

    def get_params(self, rows, options, *, as_paper):
        """Return the parameters for a recipe; the schedule of its rate is left out with its
        optimizer.
        """
        if self.views:
            is_table = rows.X.ndim == 2
            options = options | {"augment": GaussianNoise() if is_table else RandomCropFlip(2)}
        if not as_paper:
            return options
        options = leave_out(options, "optimizer", "callbacks")
        scale = options["max_epochs"] / self.n_epochs
        epochs = {name: max(1, round(scale * value)) for name, value in self.epochs.items()}
        rate = {"noise_rate": min(rows.noise_rate, 0.99)} if self.knows_rate else {}
        return options | self.paper | epochs | rate


@dataclass(frozen=True)
class Criterion:
    """One criterion, in a net without a method."""

    name: str
    criterion: type
    paper: dict

    def get_params(self, rows, options, *, as_paper):
        """Return the parameters for a recipe, whose own criterion's are left out."""
        dropped = ("criterion", *(("optimizer", "callbacks") if as_paper else ()))
        return (
            leave_out(options, *dropped)
            | {"criterion": self.criterion}
            | (self.paper if as_paper else {})
        )

    cls = NoisyLabelClassifier
    knows_rate = False


OTHERS = (
    Criterion("generalized CE", losses.GeneralizedCrossEntropyLoss, sgd(0.01, 1e-4)),
    Criterion("symmetric CE", losses.SymmetricCrossEntropyLoss, sgd(0.01, 1e-4)),
    Criterion("bootstrapping", losses.BootstrappingLoss, sgd(0.01, 1e-4)),
    Other("forward correction", baselines.ForwardCorrectionClassifier, sgd(0.1, 1e-4)),
    Other("L_DMI", baselines.DMIClassifier, sgd(0.01, 1e-4, 256) | {"lr_ratio": 1e-4}),
    Other("T-Revision", baselines.TRevisionClassifier, sgd(0.01, 1e-4)),
    Other("Joint Optimization", baselines.JointOptimizationClassifier, sgd(0.08, 1e-4)),
    Other("Decoupling", baselines.DecouplingClassifier, ADAM),
    Other("Co-teaching", baselines.CoTeachingClassifier, ADAM, {"n_gradual": 10}, knows_rate=True),
    Other(
        "Co-teaching+",
        baselines.CoTeachingPlusClassifier,
        ADAM,
        {"n_gradual": 10, "warmup_epochs": 20},
        knows_rate=True,
    ),
    Other("MentorNet", baselines.MentorNetClassifier, sgd(0.1, 2e-4)),
    Other("D2L", baselines.D2LClassifier, sgd(0.1, 1e-4)),
    Other("INCV", baselines.INCVClassifier, ADAM),
    Other("AUM", baselines.AUMClassifier, sgd(0.1, 1e-4, 64, nesterov=True)),
    Other("ELR", baselines.ELRClassifier, sgd(0.02, 1e-3)),
    Other("small loss", baselines.SmallLossClassifier, ADAM, knows_rate=True),
    Other("SSR", baselines.SSRClassifier, sgd(0.02, 5e-4), views=True),
    Other("DivideMix", baselines.DivideMixClassifier, sgd(0.02, 5e-4, 64), views=True),
)
