"""Run where MLflow and BentoML are: `peer_model.py DATA FOLDER` fits a pipeline and saves it for both."""

import json
import sys
from pathlib import Path

import mlflow.sklearn
import pandas
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SERVICE = """
import bentoml, mlflow.sklearn, pandas

@bentoml.service(workers=1, traffic={"timeout": 60})
class Scores:
    def __init__(self):
        self.model = mlflow.sklearn.load_model("model")

    @bentoml.api
    def predict(self, rows: list[dict]) -> list[list[float]]:
        return self.model.predict_proba(pandas.DataFrame(rows)).tolist()
"""

if __name__ == "__main__":
    data, folder = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2])
    frame = pandas.DataFrame(data["rows"], columns=[*data["numbers"], *data["codes"]])
    frame[data["numbers"]] = frame[data["numbers"]].astype(float)
    columns = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler()), data["numbers"]),
        (OneHotEncoder(min_frequency=10, handle_unknown="infrequent_if_exist"), data["codes"]),
    )
    model = make_pipeline(columns, LogisticRegression(max_iter=1000)).fit(frame, data["outcomes"])
    mlflow.sklearn.save_model(
        model, folder / "model", pyfunc_predict_fn="predict_proba", serialization_format="cloudpickle"
    )
    (folder / "service.py").write_text(SERVICE)
    print(json.dumps(model.predict_proba(frame[:1]).tolist()))
