from concurrent.futures import ThreadPoolExecutor

import pytest
from _results import Results

KEY, MEASURES = ("set", "seed"), ("accuracy", "seconds")
KEYS = [(name, seed) for name in ("a", "b, c") for seed in ("0", "1")]


def measure(name, seed):
    return {"accuracy": len(name) + int(seed), "seconds": 0.5}


def make(path):
    return Results(path / "results.csv", KEY, MEASURES)


def test_finished_runs_are_not_run_again(tmp_path):
    make(tmp_path).fill(KEYS[:3], measure, n_jobs=1)
    calls = []
    results = make(tmp_path)
    results.fill(KEYS, lambda *key: calls.append(key) or measure(*key), n_jobs=1)
    assert calls == KEYS[3:]
    assert make(tmp_path) == results == {key: measure(*key) for key in KEYS}


def test_what_was_done_before_a_failure_is_kept(tmp_path):
    def fail_at_third(*key):
        if key == KEYS[2]:
            raise RuntimeError("stopped")
        return measure(*key)

    with pytest.raises(RuntimeError, match="stopped"):
        make(tmp_path).fill(KEYS, fail_at_third, n_jobs=1)
    assert list(make(tmp_path)) == KEYS[:2]


def test_run_that_another_process_has_done_meanwhile_is_left_out(tmp_path):
    calls = []

    def be_overtaken(*key):
        calls.append(key)
        make(tmp_path).add(KEYS[1], {"accuracy": 7.0, "seconds": 1.0})
        return measure(*key)

    results = make(tmp_path)
    results.fill(KEYS[:2], be_overtaken, n_jobs=1)
    assert calls == KEYS[:1]
    assert results[KEYS[1]]["accuracy"] == 7.0


def test_writers_at_the_same_time_lose_no_row(tmp_path):
    def write(writer):
        results = make(tmp_path)
        results.prepare()
        for i in range(50):
            results.add((writer, str(i)), measure("a", i))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, "abcd"))
    assert make(tmp_path) == {(w, str(i)): measure("a", i) for w in "abcd" for i in range(50)}
    assert (tmp_path / "results.csv").read_text().count("accuracy") == 1


def test_torn_last_row_is_run_again_and_breaks_no_other(tmp_path):
    make(tmp_path).fill(KEYS[:2], measure, n_jobs=1)
    path = tmp_path / "results.csv"
    path.write_text(path.read_text() + "a,")
    make(tmp_path).fill(KEYS, measure, n_jobs=1)
    assert make(tmp_path) == {key: measure(*key) for key in KEYS}


def test_file_with_other_columns_is_refused(tmp_path):
    (tmp_path / "results.csv").write_text("set,seed,accuracy\na,0,1\n")
    with pytest.raises(ValueError, match="other columns; give another file by --csv"):
        make(tmp_path).fill(KEYS, measure, n_jobs=1)


def test_column_that_is_missing_must_be_said(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("set,seed,accuracy\na,0,1\n")
    with pytest.raises(ValueError, match="no column 'recipe'"):
        Results(path, ("set", "recipe", "seed"), MEASURES)
    results = Results(path, ("set", "recipe", "seed"), MEASURES, {"recipe": "sgd"})
    assert list(results) == [("a", "sgd", "0")]
    assert results["a", "sgd", "0"]["accuracy"] == 1
