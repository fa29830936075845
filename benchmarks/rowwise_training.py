"""The yardstick of benchmarks/training.py: training as notebooks do it, row by row."""

import pickle
import sys
from datetime import datetime

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split

from challenge.features.feature_sets import TOP10_COLUMNS

TIME = "%Y-%m-%d %H:%M:%S"


def minutes_late(flight: pd.Series) -> float:
    departed = datetime.strptime(flight["Fecha-O"], TIME)
    scheduled = datetime.strptime(flight["Fecha-I"], TIME)
    return (departed - scheduled).total_seconds() / 60


def main(source: str, output: str) -> None:
    data = pd.read_csv(source)
    data["min_diff"] = data.apply(minutes_late, axis=1)
    data["delay"] = np.where(data["min_diff"] > 15, 1, 0)
    columns = ["OPERA", "TIPOVUELO", "MES"]
    features = pd.concat(
        [pd.get_dummies(data[column], prefix=column) for column in columns], axis=1
    )[list(TOP10_COLUMNS)]
    x_train, x_test, y_train, y_test = train_test_split(
        features, data["delay"], test_size=0.33, random_state=42
    )
    model = LogisticRegression(class_weight="balanced").fit(x_train, y_train)
    print(classification_report(y_test, model.predict(x_test)))
    with open(output, "wb") as stream:
        pickle.dump(model, stream)


if __name__ == "__main__":
    main(*sys.argv[1:])
