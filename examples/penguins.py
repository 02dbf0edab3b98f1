"""The species of 344 penguins from a table with gaps and categories: train, evaluate, predict a bird.

Needs the measurements: pip install palmerpenguins

    python penguins.py
"""

from pathlib import Path

from palmerpenguins import load_penguins

from polylogit.recipes import recipe_from_entries
from polylogit.run import train


def main() -> None:
    """Write penguins.csv, train on it, and predict a bird whose sex is unknown."""
    load_penguins().drop(columns="year").to_csv("penguins.csv", index=False)
    recipe = recipe_from_entries({"data": {"target": "species"}})
    run = train("penguins.csv", recipe, out=Path("penguins.safetensors"))
    print(f"{run.test.rows} test rows: accuracy {run.test.accuracy:.3f}, log loss {run.test.log_loss:.3f}")
    bird = {"island": "Biscoe", "bill_length_mm": 50.0, "bill_depth_mm": 15.3, "flipper_length_mm": 220, "sex": None}
    (prediction,) = run.classifier.predict_rows([{**bird, "body_mass_g": 5550}])
    print(f"{prediction.class_name}, probability {prediction.probabilities[prediction.class_name]:.3f}")


if __name__ == "__main__":
    main()
