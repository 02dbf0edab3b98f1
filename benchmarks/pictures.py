"""Claim: on a few hundred photos and drawings, frozen features with an exact head beat training from scratch.

The data are folders of pictures, one a class:

- six: six of the folders of Debian's package tuxpaint-stamps-default (animals, food, household, plants, town, vehicles;
  mirrored and flipped pictures left out, 397 stay), unpacked into FOLDER:
  apt-get download tuxpaint-stamps-default && dpkg -x tuxpaint-stamps-default_*.deb FOLDER
- scenes: 40 tiles of 64 x 64 pixels of each of seven colour photos that scikit-image and scikit-learn ship; the class
  is the photo.
- icons: 60 at most of each of six folders (actions, apps, devices, mimetypes, places, status) of the icons of 48 x 48
  pixels in Debian's package oxygen-icon-theme, unpacked in the same way; links left out, 341 stay.
- clothes: the first 40 training pictures of each class of Fashion-MNIST as files, 28 x 28, grey.

    python benchmarks/pictures.py --stamps FOLDER
    python benchmarks/pictures.py --icons FOLDER
    python benchmarks/pictures.py --data scenes
    python benchmarks/pictures.py --pictures FOLDER     # any folder with one folder of pictures per class

All candidates get the same folds; accuracy and log loss are over all pictures, each predicted by a model that was
fitted without it. Each fold of a candidate is a process of its own. `cpu_seconds` is the median of the folds after the
first for reading, fitting and predicting, in processor time of all threads, which other work on the machine changes
little; `cold` is the first fold, in which the pretrained features of all pictures are computed. `mebibytes` is the
largest resident size of a fold's process, imports included.

- polylogit, pretrained and polylogit, cnn: `polylogit train` with its defaults, without cross-validation.
- polylogit, fine-tuned: the first with training.finetune=last; polylogit, whole network fine-tuned: with
  training.finetune=all.
- HOG, LogisticRegression: scikit-image's histograms of oriented gradients of 64 x 64 grey pixels with its defaults,
  scaled columns, scikit-learn's LogisticRegression.
- pixels, RandomForest: 64 x 64 colour pixels, 500 trees.
- plain torch loop: three convolutions on 64 x 64 colour pixels, Adam, 30 epochs in batches of 32.
- fastai, resnet18 from scratch: pictures of 128 x 128, its usual augmentation, and twenty epochs of its one-cycle
  schedule, as its introduction has it but without weights from the network. Left out where fastai is missing.

Needs scikit-image, in the extra `bench`.
"""

import multiprocessing
import os
import resource
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from timing import arguments, write_result
from torch import nn
from torch.nn import functional

from polylogit.data.pictures.files import read_pictures
from polylogit.data.pictures.sources import open_pictures
from polylogit.recipes import recipe_from_entries, starting_entries
from polylogit.run import train

SIX = ("animals", "food", "household", "plants", "town", "vehicles")
STAMPS = Path("usr/share/tuxpaint/stamps")
ICON_FOLDERS = ("actions", "apps", "devices", "mimetypes", "places", "status")
ICONS, ICONS_OF_A_FOLDER = Path("usr/share/icons/oxygen/base/48x48"), 60

TILES = 40
"""Most pictures of a class in the folders that are made here."""

Files = Sequence[Path]
FitAndPredict = Callable[[Files, np.ndarray, Files], np.ndarray]
"""From training files and their classes to probabilities of test files."""


def six_classes(unpacked: Path, folder: Path) -> Path:
    """The pictures of the six folders, without those mirrored or flipped, one folder a class."""
    for name in SIX:
        (folder / name).mkdir(parents=True)
        for file in sorted((unpacked / STAMPS / name).rglob("*.png")):
            if "_mirror" not in file.name and "_flip" not in file.name:
                shutil.copy(file, folder / name / "-".join(file.relative_to(unpacked / STAMPS / name).parts))
    return folder


def icons(unpacked: Path, folder: Path) -> Path:
    """Icons, one folder for each kind of use."""
    for name in ICON_FOLDERS:
        (folder / name).mkdir(parents=True)
        files = sorted(file for file in (unpacked / ICONS / name).glob("*.png") if not file.is_symlink())
        for number in np.random.default_rng(0).permutation(len(files))[:ICONS_OF_A_FOLDER]:
            shutil.copy(files[number], folder / name / files[number].name)
    return folder


def scenes(folder: Path) -> Path:
    """Tiles of photos, one folder a photo."""
    import skimage.data
    from sklearn.datasets import load_sample_images

    photos = {name: getattr(skimage.data, name)() for name in ("astronaut", "chelsea", "coffee", "rocket")}
    photos |= {"cells": skimage.data.immunohistochemistry()}
    photos |= dict(zip(("temple", "flower"), load_sample_images().images, strict=True))
    for name, photo in photos.items():
        (folder / name).mkdir(parents=True)
        places = [(y, x) for y in range(0, photo.shape[0] - 63, 64) for x in range(0, photo.shape[1] - 63, 64)]
        for number in np.random.default_rng(0).permutation(len(places))[:TILES]:
            y, x = places[number]
            Image.fromarray(photo[y : y + 64, x : x + 64]).save(folder / name / f"{number}.png")
    return folder


def clothes(folder: Path) -> Path:
    """Pictures of Fashion-MNIST as files."""
    source = open_pictures("fashion-mnist")
    for index, name in enumerate(source.class_names):
        (folder / str(index)).mkdir(parents=True)
        for number in (source.targets[:60_000] == index).nonzero().flatten()[:TILES].tolist():
            Image.fromarray(source.pixels[number, 0].numpy()).save(
                folder / str(index) / f"{name.split('/')[0]}-{number}.png"
            )
    return folder


def pixels(files: Files, channels: int) -> np.ndarray:
    """64 x 64 pixels as polylogit reads them."""
    return read_pictures(files, (channels, 64, 64)).pixels.numpy()


def hog_regression(fitted: Files, classes: np.ndarray, held_out: Files) -> np.ndarray:
    """Histograms of oriented gradients, and a linear model."""
    from skimage.feature import hog

    features = [np.stack([hog(picture[0]) for picture in pixels(files, 1)]) for files in (fitted, held_out)]
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(features[0], classes)
    return model.predict_proba(features[1])


def forest(fitted: Files, classes: np.ndarray, held_out: Files) -> np.ndarray:
    """A random forest on pixels."""
    flat = [pixels(files, 3).reshape(len(files), -1) for files in (fitted, held_out)]
    return RandomForestClassifier(500, random_state=0, n_jobs=-1).fit(flat[0], classes).predict_proba(flat[1])


def plain_loop(fitted: Files, classes: np.ndarray, held_out: Files) -> np.ndarray:
    """A small network, trained as tutorials do it."""
    torch.manual_seed(0)
    inputs, others = (torch.from_numpy(pixels(files, 3)).float() / 255 for files in (fitted, held_out))
    targets, widths = torch.from_numpy(classes), (3, 32, 64, 128)
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    network = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128 * 64, int(targets.max()) + 1))
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(30):
        for batch in torch.randperm(len(inputs)).split(32):
            optimizer.zero_grad()
            functional.cross_entropy(network(inputs[batch]), targets[batch]).backward()
            optimizer.step()
    with torch.inference_mode():
        return torch.softmax(network.eval()(others), dim=1).numpy()


def fastai_from_scratch(fitted: Files, classes: np.ndarray, held_out: Files) -> np.ndarray:
    """A learner as fastai's users make it, with random weights."""
    from fastai.vision.all import ImageDataLoaders, Resize, aug_transforms, resnet18, set_seed, vision_learner

    set_seed(0)
    loaders = ImageDataLoaders.from_lists(
        *(".", [str(file) for file in fitted], [str(index) for index in classes]),
        valid_pct=0.0,
        seed=0,
        bs=32,
        num_workers=0,
        item_tfms=Resize(128),
        batch_tfms=aug_transforms(),
    )
    learner = vision_learner(loaders, resnet18, pretrained=False)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(20, 1e-3)
        held_out_loader = loaders.test_dl([str(file) for file in held_out], num_workers=0)
        probabilities, _ = learner.get_preds(dl=held_out_loader)
    order = np.argsort([int(name) for name in loaders.vocab])
    return probabilities.numpy()[:, order]


def ours(kind: str, folder: Path, training: Mapping[str, object] | None = None) -> FitAndPredict:
    """`polylogit train FOLDER --model KIND` as on the command line; FOLDER has `train` and `test` folders of links."""

    def fit_and_predict(fitted: Files, classes: np.ndarray, held_out: Files) -> np.ndarray:
        with tempfile.TemporaryDirectory(dir=folder) as fold:
            for part, files in (("train", fitted), ("test", held_out)):
                for file in files:
                    place = Path(fold) / part / file.parent.name
                    place.mkdir(parents=True, exist_ok=True)
                    (place / file.name).symlink_to(file.resolve())
            entries = starting_entries(fold, {"model": {"kind": kind}, "training": training or {}}, pictures=True)
            run = train(fold, recipe_from_entries(entries), out=folder / "model.safetensors")
            return _test_probabilities(run.classifier, held_out)

    return fit_and_predict


def _test_probabilities(classifier, files: Files) -> np.ndarray:  # noqa: ANN001
    encoder = classifier.preprocessing
    pictures = read_pictures(files, encoder.input_shape, encoder.background)
    return torch.softmax(classifier.score_pictures(pictures).logits, dim=1).numpy()


def _measured(fit_and_predict: FitAndPredict, *parts: object) -> tuple[np.ndarray, float, float]:
    """Probabilities, processor seconds and the largest resident size in MiB, in a process of its own."""
    receiver, sender = multiprocessing.Pipe(duplex=False)

    def measure() -> None:
        started = time.process_time()
        probabilities = fit_and_predict(*parts)
        spent = time.process_time() - started
        spent += sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])  # processes that read pictures
        sender.send((probabilities, spent, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))

    process = multiprocessing.get_context("fork").Process(target=measure)
    process.start()
    sender.close()
    found = receiver.recv()
    process.join()
    return found


def measured(name: str, fit_and_predict: FitAndPredict, files: np.ndarray, folds: int) -> dict[str, object]:
    """A row of the result: a candidate on all folds."""
    names, classes = np.unique([file.parent.name for file in files], return_inverse=True)
    probabilities, seconds, sizes = np.empty((len(files), len(names))), [], []
    for fitted, held_out in StratifiedKFold(folds, shuffle=True, random_state=0).split(files, classes):
        probabilities[held_out], spent, size = _measured(
            fit_and_predict, files[fitted], classes[fitted], files[held_out]
        )
        seconds.append(spent)
        sizes.append(size)
    own = probabilities[np.arange(len(files)), classes]
    return {
        "candidate": name,
        "n": len(files),
        "classes": len(names),
        "folds": folds,
        "accuracy": round(float((probabilities.argmax(axis=1) == classes).mean()), 3),
        "log_loss": round(float(-np.log(np.maximum(own, 1e-12)).mean()), 3),
        "cpu_seconds": round(statistics.median(seconds[1:]), 1),
        "cold": round(seconds[0], 1),
        "mebibytes": round(max(sizes)),
    }


def main() -> None:
    """Run the candidates on the same folds."""
    parser = arguments(__doc__)
    parser.add_argument("--stamps", type=Path, help="folder that the Debian package is unpacked in")
    parser.add_argument("--icons", type=Path, help="folder that the package of the icons is unpacked in")
    parser.add_argument("--data", choices=["scenes", "clothes"], help="a folder that is made from installed packages")
    parser.add_argument("--pictures", type=Path, help="folder with one folder of pictures per class")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--only", nargs="*", help="names of candidates")
    parser.add_argument("--result", help="name of the result; pictures, or pictures-DATA, where left out")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        os.environ["POLYLOGIT_CACHE"] = str(place / "cache")
        if asked.data is not None:
            folder = {"scenes": scenes, "clothes": clothes}[asked.data](place / asked.data)
        elif asked.icons is not None:
            folder = icons(asked.icons, place / "icons")
        else:
            folder = asked.pictures or six_classes(asked.stamps, place / "six")
        files = np.array(sorted(file for file in folder.glob("*/*") if file.is_file()))
        candidates: dict[str, FitAndPredict] = {
            "polylogit, pretrained": ours("pretrained", place),
            "HOG, LogisticRegression": hog_regression,
            "pixels, RandomForest": forest,
            "plain torch loop": plain_loop,
            "fastai, resnet18 from scratch": fastai_from_scratch,
            "polylogit, cnn": ours("cnn", place),
            "polylogit, fine-tuned": ours("pretrained", place, {"finetune": "last"}),
            "polylogit, whole network fine-tuned": ours("pretrained", place, {"finetune": "all"}),
        }
        if find_spec("fastai") is None:
            print("fastai is not installed and is left out (pip install fastai)")
            del candidates["fastai, resnet18 from scratch"]
        rows = []
        for name, fit_and_predict in candidates.items():
            if not asked.only or name in asked.only:
                rows.append(measured(name, fit_and_predict, files, asked.folds))
                print(rows[-1], flush=True)
        result = "pictures" if folder.name == "six" else f"pictures-{folder.name}"
        write_result(asked.result or result, claim=__doc__.splitlines()[0], rows=rows, quick=asked.quick)


if __name__ == "__main__":
    main()
