"""The page in a browser: decided with keys, buttons and the list, saved, and read back."""

import shutil

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from crust_sklearn import apply_review, export_review_html

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="needs Playwright: pip install 'crust-sklearn[browser]'"
)
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the program chromium")

FLAGS = "no-sandbox disable-gpu disable-quic no-first-run disable-background-networking"
FLAGS += " disable-component-update disable-sync"
N = 500
EVIL = "</script><script>window.pwned = 1</script>"
CLASSES = np.array(["=1+1", 'a "b", c', EVIL, "d\ne", "é; ë"])
Y = CLASSES[np.random.default_rng(0).integers(5, size=N)]
X = np.random.default_rng(1).random((N, 8, 8))


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=[f"--{flag}" for flag in FLAGS.split()]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def written(tmp_path_factory, judged):
    path = tmp_path_factory.mktemp("review") / "review.html"
    # A third is not doubted: the neighbours are of these.
    quality = np.where(np.arange(N + 250) < N, np.linspace(0, 0.4, N + 250), 0.9)
    clf = judged(np.concatenate([Y, CLASSES[np.arange(250) % 5]]), quality=quality)
    shown = np.concatenate([X, np.random.default_rng(2).random((250, 8, 8))])
    export_review_html(clf, path, shown)
    return clf, path


@pytest.fixture
def page(browser, written):
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    # What goes wrong, and what is asked of the network.
    page.faults = []
    page.on("pageerror", lambda error: page.faults.append(str(error)))
    page.on("console", lambda message: page.faults.append(message.text))
    page.on("dialog", lambda dialog: page.faults.append(dialog.message))
    own = written[1].as_uri()
    page.on(
        "request",
        lambda request: (
            None
            if request.url.startswith((own, "data:", "blob:"))
            else page.faults.append(request.url)
        ),
    )
    page.goto(own)
    yield page
    assert page.faults == []
    assert page.evaluate("window.pwned") is None
    context.close()


def save(page, folder, press):
    with page.expect_download() as download:
        press()
    assert download.value.suggested_filename == "label_review.csv"
    download.value.save_as(folder / "saved.csv")
    return folder / "saved.csv"


def test_all_rows_decided_saved_and_read_back(page, written, tmp_path):
    clf, _ = written
    given, suggested = clf.given_labels_, clf.suggested_labels_
    decision, label = np.full(len(given), "", "<U6"), given.copy()
    rng = np.random.default_rng(3)
    assert page.inner_text("#count") == f"0 of {N} decided"
    for row in range(24):
        kind = row % 4
        if kind == 0:
            page.keyboard.press("k") if row % 8 else page.click("#keep")
            decision[row] = "keep"
        elif kind == 1:
            page.keyboard.press("c") if row % 8 > 4 else page.click("#change")
            decision[row], label[row] = "change", suggested[row]
        elif kind == 2:
            page.keyboard.press("d") if row % 8 > 4 else page.click("#drop")
            decision[row] = "drop"
        else:
            other = int(rng.integers(5))
            page.select_option("#picker", str(other))
            label[row] = np.unique(CLASSES)[other]
            decision[row] = "keep" if label[row] == given[row] else "change"
    # The other rows by keys, all in one call.
    keys = rng.choice(["k", "c", "d", "ArrowRight"], N - 24).tolist()
    page.evaluate(
        "keys => keys.forEach(key => document.body.dispatchEvent("
        "new KeyboardEvent('keydown', {key, bubbles: true})))",
        keys,
    )
    for row, key in enumerate(keys, start=24):
        decision[row] = {"k": "keep", "c": "change", "d": "drop"}.get(key, "")
        label[row] = suggested[row] if key == "c" else given[row]
    n_decided = np.count_nonzero(decision)
    assert page.inner_text("#count") == f"{n_decided} of {N} decided"

    reviewed = apply_review(given, save(page, tmp_path, lambda: page.click("#save")))
    assert_array_equal(reviewed.decision, decision)
    assert_array_equal(reviewed.y, label)
    assert_array_equal(reviewed.is_kept, decision != "drop")

    # The next visit: what was decided is there, and the first undecided row is shown.
    page.reload()
    assert page.inner_text("#count") == f"{n_decided} of {N} decided"
    first = np.flatnonzero(decision[:N] == "")[0]
    assert page.inner_text("#heading").startswith(f"Row {first} ")
    again = apply_review(given, save(page, tmp_path, lambda: page.keyboard.press("s")))
    assert_array_equal(again.decision, decision)


def test_what_is_shown(page, written):
    clf, _ = written
    assert page.inner_text("#given") == clf.given_labels_[0]
    assert page.inner_text("#suggested") == clf.suggested_labels_[0]
    assert page.locator("#shown img").count() == 6, "the images of one row and its neighbours"
    for image in page.locator("#shown img").all():
        assert image.evaluate("image => image.decode().then(() => image.naturalWidth)") == 8
    assert page.locator("#list li").count() == N
    page.locator("#list button").nth(321).click()
    assert page.inner_text("#heading") == f"Row 321 (322 of {N})"
    assert page.locator("[aria-current=true]").count() == 1


def test_undo(page):
    page.keyboard.press("d")
    assert page.inner_text("#status") == "Row 0 dropped."
    assert page.inner_text("#heading").startswith("Row 1 ")
    page.keyboard.press("u")  # the row before, which was decided a moment ago
    assert page.inner_text("#heading").startswith("Row 0 ")
    assert page.inner_text("#count") == f"0 of {N} decided"
    page.keyboard.press("u")  # nothing is left
    assert page.inner_text("#count") == f"0 of {N} decided"
    page.keyboard.press("k")
    page.keyboard.press("k")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute("#keep", "aria-pressed") == "true"
    page.click("#undo")  # of the row that is shown
    assert page.get_attribute("#keep", "aria-pressed") == "false"
    assert page.inner_text("#count") == f"1 of {N} decided"


def test_filter_and_next_undecided(page):
    page.keyboard.press("k")
    page.keyboard.press("d")
    for choice, n_rows in {"keep": 1, "drop": 1, "change": 0, "undecided": N - 2, "all": N}.items():
        page.select_option("#filter", choice)
        assert page.locator("#list li:not([hidden])").count() == n_rows
    page.locator("#list button").nth(N - 1).click()
    page.keyboard.press("n")
    assert page.inner_text("#heading").startswith("Row 2 ")


def test_keys_in_the_picker_do_not_decide(page):
    page.keyboard.press("p")
    assert page.evaluate("document.activeElement.id") == "picker"
    page.keyboard.press("d")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Control+k")
    assert page.inner_text("#status").find("kept") == -1


@pytest.mark.parametrize("width", [390, 1400])
def test_it_fits(page, width):
    page.set_viewport_size({"width": width, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == width


def test_everything_has_a_name(page):
    for control in page.locator("button:visible, select:visible").all()[:12]:
        name = control.evaluate(
            "e => e.getAttribute('aria-label') || e.innerText || e.labels?.[0]?.innerText"
        )
        assert name and name.strip()
    assert page.get_attribute("#status", "aria-live") == "polite"
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_without_storage(browser, written, tmp_path):
    context = browser.new_context(accept_downloads=True)
    context.add_init_script("Object.defineProperty(window, 'localStorage', {get() {throw 1}})")
    page = context.new_page()
    page.goto(written[1].as_uri())
    assert "save the decisions before you leave" in page.inner_text("#storage")
    page.keyboard.press("d")
    saved = save(page, tmp_path, lambda: page.click("#save"))
    assert apply_review(written[0].given_labels_, saved).decision[0] == "drop"
    context.close()


def test_nothing_to_decide(browser, tmp_path, judged):
    path = tmp_path / "empty.html"
    export_review_html(judged(["a", "b"], quality=[0.9, 0.9]), path, ["x", "y"])
    page = browser.new_page()
    page.goto(path.as_uri())
    assert page.is_visible("#empty")
    assert not page.is_visible("#work")
    page.close()


def test_a_table_of_features(browser, tmp_path, judged):
    path = tmp_path / "table.html"
    export_review_html(judged(["a", "b", "b"], quality=[0.1, 0.9, 0.9]), path, np.eye(3))
    page = browser.new_page()
    page.goto(path.as_uri())
    rows = page.locator("#shown tr").all_inner_texts()
    assert [row.split() for row in rows] == [
        ["feature", "this", "row", "1", "2"],
        ["x0", "1", "0", "0"],
        ["x1", "0", "1", "0"],
        ["x2", "0", "0", "1"],
    ]
    page.close()
