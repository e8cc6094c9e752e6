"""The API reference is whole, and the HTML representations of estimators link to its pages."""

import re
from importlib import import_module
from pathlib import Path

import pytest
import sklearn
from packaging.version import Version
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from crust_sklearn import (
    CoresetClassifier,
    CoresetSampler,
    CoresetSelector,
    CRUSTClassifier,
    LabelAuditor,
    NoisyLabelClassifier,
    _doc_link,
)
from crust_sklearn.baselines import ELRClassifier, SmallLossClassifier
from crust_sklearn.modules import MLP
from crust_sklearn.strategies import STRATEGIES, BaseStrategy

API = Path(__file__).resolve().parents[1] / "docs" / "api.rst"
SITE = "https://site.invalid/docs"

ESTIMATORS = [
    CRUSTClassifier(MLP, max_epochs=2, verbose=0),
    CoresetSelector(coreset_size=0.2),
    CoresetSampler(coreset_size=0.2),
    CoresetClassifier(LogisticRegression(max_iter=500)),
    LabelAuditor(),
    NoisyLabelClassifier(MLP),
    ELRClassifier(MLP),
    SmallLossClassifier(MLP, noise_rate=0.2),
    *(strategy() for strategy in STRATEGIES.values()),
]
# Packages all of whose public names have a page.
DOCUMENTED = ["", ".baselines", ".inspection", ".losses", ".measures", ".metrics", ".modules"]
DOCUMENTED += [".strategies"]


def api_pages() -> set[str]:
    """Return the full names that docs/api.rst lists, a page each."""
    module, pages = "", set()
    for line in API.read_text(encoding="utf-8").splitlines():
        if found := re.fullmatch(r"\.\. currentmodule:: (\S+)", line):
            module = found[1]
        elif found := re.fullmatch(r" {3}(\w[\w.]*)", line):
            pages.add(f"{module}.{found[1]}")
    return pages


def own_links(html: str) -> set[str]:
    """Return the pages of this site that the representation links to, without their anchors."""
    links = re.findall(r'href="([^"#]+)[^"]*"', html)
    return {link for link in links if link.startswith(SITE)}


def page_of(estimator: BaseEstimator) -> str:
    (link,) = own_links(estimator._repr_html_())
    name = re.fullmatch(rf"{re.escape(SITE)}/generated/(.+)\.html", link)
    assert name is not None, link
    return name[1]


@pytest.fixture(autouse=True)
def site(monkeypatch):
    monkeypatch.setattr(_doc_link, "SITE", SITE)


@pytest.mark.parametrize("module", DOCUMENTED)
def test_every_public_object_has_a_page(module):
    public = import_module(f"crust_sklearn{module}").__all__
    assert {f"crust_sklearn{module}.{name}" for name in public} <= api_pages()


@pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: type(e).__name__)
def test_an_estimator_links_to_its_page(estimator):
    page = page_of(estimator)
    assert page in api_pages()
    assert page.rpartition(".")[2] == type(estimator).__name__


@pytest.mark.parametrize("estimator", ESTIMATORS[:3], ids=lambda e: type(e).__name__)
def test_a_fitted_estimator_links_to_the_same_page(estimator):
    X, y = load_iris(return_X_y=True)
    before = page_of(estimator)
    assert page_of(estimator.fit(X, y)) == before


@pytest.mark.parametrize("estimator", ESTIMATORS[:4], ids=lambda e: type(e).__name__)
def test_a_step_of_a_pipeline_links_to_its_page(estimator):
    html = make_pipeline(StandardScaler(), estimator)._repr_html_()
    assert f"{SITE}/generated/{page_of(estimator)}.html" in own_links(html)


def test_the_parts_of_an_estimator_link_to_their_pages():
    html = CoresetClassifier(LogisticRegression(), CoresetSelector())._repr_html_()
    names = {link.removesuffix(".html").rpartition(".")[2] for link in own_links(html)}
    assert names == {"CoresetClassifier", "CoresetSelector"}


@pytest.mark.skipif(
    Version(sklearn.__version__) < Version("1.7"), reason="its HTML has no table of parameters"
)
@pytest.mark.parametrize(
    "estimator", [ESTIMATORS[0], ESTIMATORS[6]], ids=lambda e: type(e).__name__
)
def test_what_skorch_keeps_for_itself_is_not_shown(estimator):
    X, y = load_iris(return_X_y=True)
    fitted = clone(estimator).set_params(verbose=0, max_epochs=2, optimizer__weight_decay=0.1)
    fitted.fit(X.astype("float32"), y)
    for each in (estimator, fitted, clone(fitted)):
        assert not [name for name in each.get_params() if name.startswith("_")]
        # Parameters and attributes are the cells of the table.
        cells = re.findall(r"<td[^>]*>\s*(.*?)\s*</td>", each._repr_html_(), flags=re.DOTALL)
        names = [re.sub(r"<[^>]+>", "", cell).strip() for cell in cells]
        assert "max_epochs" in " ".join(names)
        assert not [name for name in names if name.startswith("_")]
        assert not re.search(r"^\s*_", str(each), flags=re.MULTILINE)
    assert clone(fitted).get_params()["optimizer__weight_decay"] == 0.1


def test_a_strategy_of_the_users_has_no_page_here():
    class Mine(BaseStrategy):
        def _pick(self, X, n_select, sample_weight, random_state):
            raise NotImplementedError

    assert own_links(Mine()._repr_html_()) == set()


def test_without_a_published_site_the_links_lead_to_the_built_pages(monkeypatch, tmp_path):
    monkeypatch.setattr(_doc_link, "SITE", "")
    monkeypatch.setattr(_doc_link, "BUILT", tmp_path)
    html = CoresetSelector()._repr_html_()
    assert f'href="{tmp_path.as_uri()}/generated/crust_sklearn.CoresetSelector.html"' in html


def test_without_any_site_there_is_no_link(monkeypatch, tmp_path):
    monkeypatch.setattr(_doc_link, "SITE", "")
    monkeypatch.setattr(_doc_link, "BUILT", tmp_path / "not built")
    assert "href" not in CoresetSelector()._repr_html_()
